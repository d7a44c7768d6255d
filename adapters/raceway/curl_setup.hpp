// libcurl, set up for the whole program.
#pragma once

#include <curl/curl.h>

namespace codewake::internal {

/// Whether libcurl can be used; sets it up at the first call. Thread-safe.
inline bool is_curl_set_up() {
  static const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
  return result == CURLE_OK;
}

}  // namespace codewake::internal
