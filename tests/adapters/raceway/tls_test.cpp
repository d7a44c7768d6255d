// Over TLS: only a server that proves who it is gets events and the key.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "adapters/raceway/collector.hpp"
#include "adapters/raceway/contract.hpp"
#include "adapters/raceway/support.hpp"
#include "adapters/writing.hpp"
#include "codewake/raceway.hpp"
#include "codewake/raceway_store.hpp"
#include "support/other_user.hpp"
#include "support/skip.hpp"
#include "support/temporary_folder.hpp"

namespace codewake::testing {
namespace {

/// A TLS server on a port of its own of 127.0.0.1, with a certificate that it has signed itself for that
/// address. It answers each request as if it had taken one event, or by sending it to `redirect`.
class TlsServer {
 public:
  explicit TlsServer(std::string redirect = {}) : redirect_(std::move(redirect)) {
    signal(SIGPIPE, SIG_IGN);
    make_certificate();
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(listen(listener_, 4) == 0);
    REQUIRE(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  TlsServer(const TlsServer&) = delete;
  TlsServer& operator=(const TlsServer&) = delete;
  ~TlsServer() {
    shutdown(listener_, SHUT_RDWR);
    thread_.join();
    close(listener_);
  }

  std::string url(const char* host) const {
    return std::string("https://") + host + ":" + std::to_string(port_);
  }
  std::string certificate() const { return folder_ / "server.pem"; }
  /// All that it has read.
  std::string received() {
    const std::lock_guard lock(mutex_);
    return received_;
  }

 private:
  void make_certificate() {
    EVP_PKEY* const key = EVP_RSA_gen(2048);
    X509* const x509 = X509_new();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key);
    X509_NAME* const name = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("raceway"),
                               -1, -1, 0);
    X509_set_issuer_name(x509, name);
    X509_EXTENSION* const names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(x509, names, -1);
    X509_EXTENSION_free(names);
    REQUIRE(X509_sign(x509, key, EVP_sha256()) != 0);
    FILE* const file = std::fopen(certificate().c_str(), "w");
    REQUIRE(file != nullptr);
    PEM_write_X509(file, x509);
    std::fclose(file);
    context_.reset(SSL_CTX_new(TLS_server_method()));
    SSL_CTX_use_certificate(context_.get(), x509);
    SSL_CTX_use_PrivateKey(context_.get(), key);
    X509_free(x509);
    EVP_PKEY_free(key);
  }

  void serve() {
    while (true) {
      const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) return;
      SSL* const ssl = SSL_new(context_.get());
      SSL_set_fd(ssl, connection);
      if (SSL_accept(ssl) == 1) answer(ssl);
      SSL_free(ssl);
      close(connection);
    }
  }

  void answer(SSL* ssl) {
    char buffer[16384];
    std::string request;
    while (request.find("]}]}") == std::string::npos) {  // the end of the event's locks, and of the body
      const int size = SSL_read(ssl, buffer, sizeof buffer);
      if (size <= 0) break;
      request.append(buffer, static_cast<std::size_t>(size));
      if (request.starts_with("GET ") && contains(request, "\r\n\r\n")) break;
    }
    {
      const std::lock_guard lock(mutex_);
      received_ += request;
    }
    const std::string body = ingested(1).body;
    const std::string status = redirect_.empty() ? "200 OK" : "307 Elsewhere\r\nLocation: " + redirect_;
    const std::string reply = "HTTP/1.1 " + status +
                              "\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
                              "\r\n\r\n" + body;
    SSL_write(ssl, reply.data(), static_cast<int>(reply.size()));
    SSL_shutdown(ssl);
  }

  const std::string redirect_;
  TemporaryFolder folder_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{nullptr, &SSL_CTX_free};
  int listener_ = -1;
  int port_ = 0;
  std::thread thread_;
  std::mutex mutex_;
  std::string received_;
};

TEST_CASE("A certificate that nobody vouches for, or that is another's, gets neither events nor the key") {
  TlsServer server;
  const auto refused = [&](const std::vector<std::string>& parameters) {
    RacewayStore store(parameters);
    return store_error(StoreError::Kind::unavailable,
                       [&] { write_trace_events(store, {numbered_event(1)}); });
  };
  CHECK(contains(refused({server.url("127.0.0.1"), "api_key=key-1"}), "certificate"));
  CHECK(contains(refused({server.url("localhost"), "api_key=key-1", "ca_file=" + server.certificate()}),
                 "localhost"));
  CHECK(refused({server.url("127.0.0.1"), "api_key=key-1", "ca_file=/nowhere.pem"}) != "");
  CHECK(server.received() == "");
}

TEST_CASE("A server whose certificate is in ca_file gets events") {
  TlsServer server;
  RacewayStore store({server.url("127.0.0.1"), "api_key=key-1", "ca_file=" + server.certificate()});
  write_trace_events(store, {numbered_event(1)});
  CHECK(contains(server.received(), "Authorization: Bearer key-1"));
  CHECK(contains(server.received(), to_uuid(numbered_id(1))));
}

TEST_CASE("A server with https that sends a request to http is refused, and the key goes nowhere") {
  TlsServer server("http://127.0.0.1:1/events");
  RacewayStore store({server.url("127.0.0.1"), "api_key=key-1", "ca_file=" + server.certificate()});
  const std::string message =
      store_error(StoreError::Kind::unavailable, [&] { write_trace_events(store, {numbered_event(1)}); });
  CHECK(contains(message, "it has moved to http://127.0.0.1:1/events, where nothing is sent"));
}

TEST_CASE("A request by https does not go on by http, nor do its keys") {
  constexpr const char* kAuthorities = "/etc/ssl/certs/ca-certificates.crt";
  if (const std::string reason = why_no_other_user(); !reason.empty()) CODEWAKE_SKIP(reason);
  if (!std::filesystem::exists(kAuthorities)) CODEWAKE_SKIP("this system keeps its authorities elsewhere");
  const ChildResult result = in_own_mounts([&] {
    const CollectorFixture fixture;
    TlsServer server(fixture.collector.url() + "/plain");
    if (mount(server.certificate().c_str(), kAuthorities, nullptr, MS_BIND, nullptr) != 0)
      std::_Exit(kNoMounts);
    raceway::Client client({.endpoint = fixture.collector.url()});
    std::string message;
    try {
      client.request("GET", server.url("127.0.0.1") + "/x", {.headers = {{"X-API-Key", "key-1"}}});
    } catch (const Error& error) {
      message = error.what();
    }
    if (!contains(message, "which is not encrypted; nothing is sent there"))
      throw std::runtime_error(message);
    if (!contains(server.received(), "X-API-Key: key-1")) throw std::runtime_error("the first request");
    if (!fixture.collector.requests().empty()) throw std::runtime_error("it went on");
  });
  if (result.exit_code == kNoMounts) CODEWAKE_SKIP("mounts of its own are not allowed here: " + result.err);
  INFO(result.err);
  CHECK(result.exit_code == 0);
}

}  // namespace
}  // namespace codewake::testing
