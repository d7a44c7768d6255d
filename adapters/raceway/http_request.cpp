#include "http_request.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <initializer_list>
#include <memory>
#include <new>
#include <utility>

#include "codewake/config.hpp"
#include "codewake/errors.hpp"
#include "curl_setup.hpp"

namespace codewake::internal {
namespace {

constexpr int kMostRedirects = 30;
constexpr std::size_t kMostHeaderBytes = 256u << 10;

struct Deleter {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  void operator()(char* text) const { curl_free(text); }
};

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = lower(c);
  return result;
}

bool has_header(const HeaderMap& headers, std::string_view name) {
  return std::ranges::any_of(headers, [&](const auto& header) { return lower(header.first) == lower(name); });
}

void remove_headers(HeaderMap& headers, std::initializer_list<std::string_view> names) {
  std::erase_if(headers, [&](const auto& header) {
    return std::ranges::find(names, lower(header.first)) != names.end();
  });
}

/// Whether a header of this name holds a secret, such as X-API-Key: the library masks its value.
bool is_secret(const std::string& name) {
  const std::string line = name + ": value";
  return masked(line) != line;
}

/// RFC 9110's token.
bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

std::string_view trimmed(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

/// An answer while it comes, within its bounds. Nothing may be thrown through libcurl: what does not fit, or
/// not into memory, ends the request.
struct Incoming {
  raceway::Response response = {};
  std::size_t most_bytes = 0;    ///< of the body
  std::size_t header_bytes = 0;  ///< of all answers of one request
  const char* problem = nullptr;

  static std::size_t take_body(char* data, std::size_t one, std::size_t size, void* self) noexcept {
    auto& incoming = *static_cast<Incoming*>(self);
    if (size > incoming.most_bytes - incoming.response.body.size())
      return incoming.refuse("its body is larger than most_bytes, and was not read to its end");
    try {
      incoming.response.body.append(data, one * size);
    } catch (const std::bad_alloc&) {
      return incoming.refuse("there is no memory for its body");
    }
    return one * size;
  }

  // Those of an answer that only announces another (1xx) are forgotten with the next status line.
  static std::size_t take_header(char* data, std::size_t one, std::size_t size, void* self) noexcept {
    auto& incoming = *static_cast<Incoming*>(self);
    incoming.header_bytes += size;
    if (incoming.header_bytes > kMostHeaderBytes)
      return incoming.refuse("its headers are larger than 256 KiB");
    try {
      HeaderMap& headers = incoming.response.headers;
      const std::string_view line(data, one * size);
      if (line.starts_with("HTTP/")) headers.clear();
      if (const std::size_t colon = line.find(':'); colon != line.npos) {
        headers[lower(line.substr(0, colon))] = trimmed(line.substr(colon + 1));
      }
    } catch (const std::bad_alloc&) {
      return incoming.refuse("there is no memory for its headers");
    }
    return one * size;
  }

 private:
  std::size_t refuse(const char* why) noexcept {
    problem = why;
    return 0;
  }
};

bool is_https(const std::string& url) {
  return lower(std::string_view(url).substr(0, 6)) == "https:";
}

/// `https://host:port` of a URL, its user left out; empty where it is none.
std::string origin_of(const std::string& text) {
  const std::unique_ptr<CURLU, Deleter> url(curl_url());
  if (url == nullptr || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) return {};
  std::string origin;
  for (const CURLUPart part : {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT}) {
    char* value = nullptr;
    if (curl_url_get(url.get(), part, &value, CURLU_DEFAULT_PORT) != CURLUE_OK) return {};
    const std::unique_ptr<char, Deleter> owned(value);
    origin += lower(value) + ' ';
  }
  return origin;
}

/// One request after the other over one handle of libcurl.
class Exchange {
 public:
  Exchange(std::string_view method, const std::string& url, HeaderMap headers, std::string body)
      : method_(method), url_(url), headers_(std::move(headers)), body_(std::move(body)) {
    for (char& c : method_) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    if (!is_token(method_)) fail("this is no method");
    for (const auto& [name, value] : headers_) {
      if (!is_token(name)) fail(fmt::format("\"{}\" is no name of a header", name));
      if (value.find_first_of(std::string_view("\r\n\0", 3)) != value.npos)
        fail(fmt::format("the header {} has a line break in it", name));
    }
    if (url_.find('\0') != url_.npos) fail("this is no URL");
    if (const std::string why = why_no_curl(); !why.empty()) fail(why);
    curl_.reset(curl_easy_init());
    if (curl_ == nullptr) fail("libcurl has no memory left");
  }

  raceway::Response send(const HttpBounds& bounds) {
    const std::chrono::milliseconds timeout = bounds.timeout;
    const auto began = std::chrono::steady_clock::now();
    for (int redirects = 0;; ++redirects) {
      auto left = timeout;
      if (timeout.count() > 0) {
        left -=
            std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
        if (left.count() <= 0) fail("no answer in time");
      }
      raceway::Response response = send_once(
          {.timeout = std::max(left, std::chrono::milliseconds(0)), .most_bytes = bounds.most_bytes});
      char* next = nullptr;
      curl_easy_getinfo(curl_.get(), CURLINFO_REDIRECT_URL, &next);
      constexpr std::array kElsewhere = {301, 302, 303, 307, 308};
      if (next == nullptr || std::ranges::find(kElsewhere, response.status) == kElsewhere.end())
        return response;
      if (redirects == kMostRedirects) fail("it is redirected again and again");
      redirect(response.status, next);
    }
  }

 private:
  // The password that a URL may have is nobody's business.
  [[noreturn]] void fail(std::string_view what) const {
    throw Error(fmt::format("{} {}: {}", method_, masked(url_), what));
  }

  template <class Value>
  void set(CURLoption option, Value value) {
    if (const CURLcode result = curl_easy_setopt(curl_.get(), option, value); result != CURLE_OK)
      fail(curl_easy_strerror(result));
  }

  raceway::Response send_once(const HttpBounds& bounds) {
    Incoming incoming{.most_bytes = bounds.most_bytes};
    char problem[CURL_ERROR_SIZE] = {};
    curl_easy_reset(curl_.get());
    set(CURLOPT_ERRORBUFFER, problem);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_OPENSOCKETFUNCTION, &open_socket);
    set(CURLOPT_URL, url_.c_str());
#if LIBCURL_VERSION_NUM >= 0x075500
    set(CURLOPT_PROTOCOLS_STR, "http,https");
#else
    set(CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(bounds.timeout.count()));
    set(CURLOPT_WRITEFUNCTION, &Incoming::take_body);
    set(CURLOPT_WRITEDATA, &incoming);
    set(CURLOPT_HEADERFUNCTION, &Incoming::take_header);
    set(CURLOPT_HEADERDATA, &incoming);
    const auto headers = header_list();
    set(CURLOPT_HTTPHEADER, headers.get());
    if (method_ == "HEAD") {
      set(CURLOPT_NOBODY, 1L);
    } else {
      if (!body_.empty() || method_ == "POST") {
        set(CURLOPT_POSTFIELDS, body_.data());
        set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body_.size()));
      }
      set(CURLOPT_CUSTOMREQUEST, method_.c_str());
    }
    const CURLcode result = curl_easy_perform(curl_.get());
    if (incoming.problem != nullptr) fail(incoming.problem);
    if (result != CURLE_OK) fail(problem[0] != '\0' ? problem : curl_easy_strerror(result));
    long status = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
    incoming.response.status = static_cast<int>(status);
    return std::move(incoming.response);
  }

  std::unique_ptr<curl_slist, Deleter> header_list() const {
    std::unique_ptr<curl_slist, Deleter> list;
    const auto add = [&](const std::string& header) {
      curl_slist* const longer = curl_slist_append(list.get(), header.c_str());
      if (longer == nullptr) throw std::bad_alloc();
      static_cast<void>(list.release());
      list.reset(longer);
    };
    for (const auto& [name, value] : headers_) add(trimmed(value).empty() ? name + ";" : name + ": " + value);
    // What libcurl would add by itself: a form, which the body is not, and to wait for leave to send it.
    for (const char* own : {"Content-Type", "Expect"}) {
      if (!has_header(headers_, own)) add(std::string(own) + ":");
    }
    return list;
  }

  void redirect(int status, const std::string& next) {
    if (is_https(url_) && !is_https(next)) {
      fail(fmt::format(
          "it is redirected to {}, which is not encrypted; nothing is sent there; name that URL to "
          "send it all the same",
          masked(next)));
    }
    const bool becomes_get = status == 303 || status == 302 || (status == 301 && method_ == "POST");
    if (becomes_get && method_ != "HEAD") method_ = "GET";
    if (becomes_get) {
      body_.clear();
      remove_headers(headers_, {"content-type", "content-length", "transfer-encoding"});
    }
    if (origin_of(next) != origin_of(url_))
      std::erase_if(headers_, [](const auto& header) { return is_secret(header.first); });
    url_ = next;
  }

  std::string method_;
  std::string url_;
  HeaderMap headers_;
  std::string body_;
  std::unique_ptr<CURL, Deleter> curl_;
};

}  // namespace

void add_if_missing(HeaderMap& headers, std::string_view name, std::string_view value) {
  if (!has_header(headers, name)) headers.emplace(name, value);
}

raceway::Response send_http_request(std::string_view method, const std::string& url, HeaderMap headers,
                                    std::string body, const HttpBounds& bounds) {
  return Exchange(method, url, std::move(headers), std::move(body)).send(bounds);
}

}  // namespace codewake::internal
