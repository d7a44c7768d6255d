// libcurl, set up for the whole program.
#pragma once

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "raised_privileges.hpp"

namespace codewake::internal {

/// In a program with raised privileges, the name of a variable that libcurl would obey, though the user who
/// started the program has set it: a proxy, or the file to which libcurl writes the keys of TLS. libcurl
/// reads them by plain getenv. Empty where there is none. Reentrant.
inline std::string curl_variable_of_another_user() {
  return variable_of_another_user([](std::string_view name) {
    return name == "SSLKEYLOGFILE" || name.ends_with("_proxy") || name.ends_with("_PROXY");
  });
}

/// Why libcurl may not or cannot be used; empty where it can. Each use of libcurl asks first; the first call
/// sets libcurl up. Thread-safe.
inline std::string why_no_curl() {
  if (const std::string name = curl_variable_of_another_user(); !name.empty())
    return "the program runs with raised privileges, and libcurl would obey the variable " + name +
           " of the user who started it; unset it first";
  static const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
  return result == CURLE_OK ? "" : "libcurl cannot be set up";
}

/// For CURLOPT_OPENSOCKETFUNCTION. The program's children are not to hold the connection open; and what the
/// program prints while its standard descriptors are closed must not go into it. Thread-safe.
inline curl_socket_t open_socket(void*, curlsocktype, curl_sockaddr* address) {
  constexpr int kFirst = 3;
  const int opened = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  if (opened < 0 || opened >= kFirst) return opened;
  const int moved = fcntl(opened, F_DUPFD_CLOEXEC, kFirst);
  close(opened);
  return moved < 0 ? CURL_SOCKET_BAD : moved;
}

}  // namespace codewake::internal
