#include "http_client.hpp"

#include <curl/curl.h>
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <new>
#include <utility>

#include "codewake/errors.hpp"
#include "codewake/version.hpp"
#include "curl_setup.hpp"

namespace codewake::internal {
namespace {

[[noreturn]] void fail(const RacewayParameters& parameters, std::string_view what) {
  throw StoreError(StoreError::Kind::unavailable,
                   fmt::format("Raceway server {}: {}", parameters.display, what));
}

std::string compressed(std::string_view body) {
  constexpr int kGzip = 15 + 16;
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
  std::string out(deflateBound(&stream, body.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) throw std::bad_alloc();
  return out;
}

}  // namespace

class HttpClient::Request {
 public:
  Request(const RacewayParameters& parameters, const std::atomic<bool>& abandoned)
      : parameters_(parameters), abandoned_(abandoned) {
    if (const std::string why = why_no_curl(); !why.empty()) fail(parameters, why);
    curl_.reset(curl_easy_init());
    if (!curl_) fail(parameters, "libcurl has no memory left");
    set(CURLOPT_ERRORBUFFER, error_);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_URL, parameters.url.c_str());
    // A redirect could lead the key to somebody else.
    set(CURLOPT_FOLLOWLOCATION, 0L);
#if LIBCURL_VERSION_NUM >= 0x075500
    set(CURLOPT_PROTOCOLS_STR, "http,https");
#else
    set(CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(parameters.connect_timeout.count()));
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(parameters.timeout.count()));
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_OPENSOCKETFUNCTION, &open_socket);
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    if (!parameters.ca_file.empty()) set(CURLOPT_CAINFO, parameters.ca_file.c_str());
    set(CURLOPT_USERAGENT, "codewake/" CODEWAKE_VERSION);
    set(CURLOPT_WRITEFUNCTION, &take_body);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_HEADERFUNCTION, &count_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &is_abandoned);
    set(CURLOPT_XFERINFODATA, this);
    set(CURLOPT_POST, 1L);
    add_header(plain_, "Content-Type: application/json");
    // Nothing is to wait for the server's leave to send.
    add_header(plain_, "Expect:");
    if (!parameters.api_key.empty()) add_header(plain_, "Authorization: Bearer " + parameters.api_key);
    for (curl_slist* header = plain_.get(); header != nullptr; header = header->next)
      add_header(gzip_, header->data);
    add_header(gzip_, "Content-Encoding: gzip");
  }

  HttpAnswer post(std::string_view body, Encoding encoding) {
    std::string packed;
    if (encoding == Encoding::gzip) body = packed = compressed(body);
    answer_ = {};
    header_bytes_ = 0;
    is_cut_ = false;
    error_[0] = '\0';
    set(CURLOPT_HTTPHEADER, (encoding == Encoding::gzip ? gzip_ : plain_).get());
    set(CURLOPT_POSTFIELDS, body.data());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    const CURLcode result = curl_easy_perform(curl_.get());
    if (result == CURLE_OK || is_cut_) {
      note_answer();
    } else if (header_bytes_ > HttpAnswer::kMostHeaders) {
      answer_ = {.failure =
                     fmt::format("its answer has more than {} bytes of headers", HttpAnswer::kMostHeaders)};
    } else {
      answer_ = {.failure = error_[0] != '\0' ? error_ : curl_easy_strerror(result)};
    }
    return std::move(answer_);
  }

 private:
  using List = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

  template <class Value>
  void set(CURLoption option, Value value) {
    const CURLcode result = curl_easy_setopt(curl_.get(), option, value);
    if (result != CURLE_OK)
      fail(parameters_, fmt::format("libcurl does not take option {}: {}", static_cast<int>(option),
                                    curl_easy_strerror(result)));
  }

  void add_header(List& list, const std::string& header) {
    curl_slist* const longer = curl_slist_append(list.get(), header.c_str());
    if (longer == nullptr) fail(parameters_, "libcurl has no memory left");
    static_cast<void>(list.release());
    list.reset(longer);
  }

  // What is returned ends the request where it is less than what came.
  static std::size_t take_body(char* data, std::size_t one, std::size_t size, void* self) {
    auto& request = *static_cast<Request*>(self);
    std::string& body = request.answer_.body;
    const std::size_t taken = std::min(size, HttpAnswer::kMostBody - body.size());
    body.append(data, taken);
    request.is_cut_ = taken < size;
    return one * taken;
  }

  static std::size_t count_header(char*, std::size_t one, std::size_t size, void* self) {
    auto& request = *static_cast<Request*>(self);
    request.header_bytes_ += size;
    return request.header_bytes_ > HttpAnswer::kMostHeaders ? 0 : one * size;
  }

  static int is_abandoned(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Request*>(self)->abandoned_.load(std::memory_order_relaxed) ? 1 : 0;
  }

  void note_answer() {
    curl_off_t seconds = 0;
    char* redirect = nullptr;
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &answer_.status);
    curl_easy_getinfo(curl_.get(), CURLINFO_RETRY_AFTER, &seconds);
    curl_easy_getinfo(curl_.get(), CURLINFO_REDIRECT_URL, &redirect);
    answer_.retry_after = std::chrono::seconds(std::max<curl_off_t>(seconds, 0));
    if (redirect != nullptr) answer_.redirect = redirect;
  }

  const RacewayParameters& parameters_;
  std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl_{nullptr, &curl_easy_cleanup};
  List plain_{nullptr, &curl_slist_free_all};
  List gzip_{nullptr, &curl_slist_free_all};
  HttpAnswer answer_;
  std::size_t header_bytes_ = 0;
  bool is_cut_ = false;  // the rest of the body was not read
  char error_[CURL_ERROR_SIZE] = {};
  const std::atomic<bool>& abandoned_;
};

HttpClient::HttpClient(const RacewayParameters& parameters, const std::atomic<bool>& abandoned)
    : request_(std::make_unique<Request>(parameters, abandoned)) {}
HttpClient::~HttpClient() = default;

HttpAnswer HttpClient::post(std::string_view body, Encoding encoding) {
  return request_->post(body, encoding);
}

}  // namespace codewake::internal
