#include "http_request.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <memory>
#include <new>
#include <utility>

namespace codewake::internal {
namespace {

constexpr long kMostRedirects = 30;

struct Deleter {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::size_t take_body(char* data, std::size_t one, std::size_t size, void* response) {
  static_cast<raceway::Response*>(response)->body.append(data, one * size);
  return one * size;
}

// A redirect's headers come first, and are forgotten with the next status line.
std::size_t take_header(char* data, std::size_t one, std::size_t size, void* response) {
  HeaderMap& headers = static_cast<raceway::Response*>(response)->headers;
  std::string_view line(data, one * size);
  while (line.ends_with('\r') || line.ends_with('\n')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) headers.clear();
  const std::size_t colon = line.find(':');
  if (colon == line.npos) return one * size;
  std::string name;
  for (const char c : line.substr(0, colon))
    name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  std::string_view value = line.substr(colon + 1);
  while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
  headers[std::move(name)] = value;
  return one * size;
}

}  // namespace

raceway::Response send_http_request(std::string_view method, const std::string& url, const HeaderMap& headers,
                                    const std::string& body, std::chrono::milliseconds timeout) {
  static const CURLcode is_set_up = curl_global_init(CURL_GLOBAL_DEFAULT);
  const std::unique_ptr<CURL, Deleter> curl(is_set_up == CURLE_OK ? curl_easy_init() : nullptr);
  if (curl == nullptr) throw Error("libcurl cannot be set up");
  const auto set = [&](CURLoption option, auto value) {
    if (const CURLcode result = curl_easy_setopt(curl.get(), option, value); result != CURLE_OK) {
      throw Error(fmt::format("{} {}: {}", method, url, curl_easy_strerror(result)));
    }
  };
  std::unique_ptr<curl_slist, Deleter> list;
  for (const auto& [name, value] : headers) {
    if ((name + value).find_first_of("\r\n") != std::string::npos) {
      throw Error(fmt::format("{} {}: the header {} has a line break in it", method, url, name));
    }
    curl_slist* const longer = curl_slist_append(list.get(), (name + ": " + value).c_str());
    if (longer == nullptr) throw std::bad_alloc();
    static_cast<void>(list.release());
    list.reset(longer);
  }
  raceway::Response response;
  char problem[CURL_ERROR_SIZE] = {};
  const std::string verb(method);
  set(CURLOPT_ERRORBUFFER, problem);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_URL, url.c_str());
#if LIBCURL_VERSION_NUM >= 0x075500
  set(CURLOPT_PROTOCOLS_STR, "http,https");
#else
  set(CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, kMostRedirects);
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
  set(CURLOPT_HTTPHEADER, list.get());
  set(CURLOPT_WRITEFUNCTION, &take_body);
  set(CURLOPT_WRITEDATA, &response);
  set(CURLOPT_HEADERFUNCTION, &take_header);
  set(CURLOPT_HEADERDATA, &response);
  if (verb == "HEAD") {
    set(CURLOPT_NOBODY, 1L);
  } else {
    if (!body.empty() || verb == "POST") {
      set(CURLOPT_POSTFIELDS, body.data());
      set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    }
    set(CURLOPT_CUSTOMREQUEST, verb.c_str());
  }
  if (const CURLcode result = curl_easy_perform(curl.get()); result != CURLE_OK) {
    throw Error(
        fmt::format("{} {}: {}", method, url, problem[0] != '\0' ? problem : curl_easy_strerror(result)));
  }
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  response.status = static_cast<int>(status);
  return response;
}

}  // namespace codewake::internal
