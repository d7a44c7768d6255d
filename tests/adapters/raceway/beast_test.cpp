// A server of Boost.Beast that answers on another thread than it reads on, traced: the example of the
// adapter's README for servers of any kind.
#include <doctest/doctest.h>

#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

// Behind the others: Boost 1.74 forgets to include <utility>.
#include <boost/asio.hpp>
#include <boost/beast.hpp>

#include "adapters/raceway/collector.hpp"
#include "codewake/raceway.hpp"

namespace codewake::testing {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using json = nlohmann::json;
using asio::ip::tcp;

std::string_view view(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

codewake::Context begin(codewake::Tracer& tracer, const http::request<http::string_body>& request) {
  codewake::IncomingHeaders headers;
  for (const auto& field : request) headers.add(view(field.name_string()), view(field.value()));
  const codewake::Scope none{codewake::Context()};  // this thread goes on to other requests
  return tracer.begin_request(headers, view(request.method_string()), view(request.target()));
}

void end(codewake::Tracer& tracer, const codewake::Context& context,
         http::response<http::string_body>& response) {
  const int status = static_cast<int>(response.result_int());
  for (const auto& [name, value] : tracer.end_request(context, status)) response.set(name, value);
}

/// One request, read by the thread of the sockets, worked on by one of a pool, and answered.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, asio::thread_pool& pool, codewake::Tracer& tracer)
      : stream_(std::move(socket)), pool_(pool), tracer_(tracer) {}

  void read() {
    http::async_read(stream_, buffer_, request_, [self = shared_from_this()](auto error, std::size_t) {
      if (!error) self->handle();
    });
  }

 private:
  void handle() {
    const codewake::Context context = begin(tracer_, request_);
    asio::post(pool_, [self = shared_from_this(), context] {
      const codewake::Scope scope(context);  // on whatever thread the work is done
      self->tracer_.track_custom("handled", {{"bytes", self->request_.body().size()}});
      self->response_.result(http::status::created);
      end(self->tracer_, context, self->response_);
      asio::post(self->stream_.get_executor(), [self] { self->write(); });
    });
    CHECK_FALSE(codewake::Context::current());
  }

  void write() {
    response_.prepare_payload();
    http::async_write(stream_, response_, [self = shared_from_this()](auto, std::size_t) {
      self->stream_.socket().shutdown(tcp::socket::shutdown_send);
    });
  }

  boost::beast::tcp_stream stream_;
  asio::thread_pool& pool_;
  codewake::Tracer& tracer_;
  boost::beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response<http::string_body> response_;
};

/// Answers until it goes.
class Server {
 public:
  explicit Server(codewake::Tracer& tracer) : tracer_(tracer) {
    accept();
    thread_ = std::thread([this] { sockets_.run(); });
  }
  ~Server() {
    sockets_.stop();
    thread_.join();
    pool_.join();
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()); }

 private:
  void accept() {
    acceptor_.async_accept([this](auto error, tcp::socket socket) {
      if (error) return;
      std::make_shared<Session>(std::move(socket), pool_, tracer_)->read();
      accept();
    });
  }

  codewake::Tracer& tracer_;
  asio::io_context sockets_;
  asio::thread_pool pool_{2};
  tcp::acceptor acceptor_{sockets_, {asio::ip::address_v4::loopback(), 0}};
  std::thread thread_;
};

TEST_CASE("A request that Boost.Beast answers on another thread is one execution of its caller's trace") {
  CollectorFixture fixture;
  codewake::raceway::Client service({.endpoint = fixture.collector.url(), .service_name = "service"});
  codewake::raceway::Client caller({.endpoint = fixture.collector.url(), .service_name = "caller"});
  constexpr int kRequests = 20;
  const Server server(service);
  {
    const codewake::Scope scope(caller);
    for (int i = 0; i < kRequests; ++i) {
      const auto answer = caller.request("POST", server.url() + "/x", {.json = i});
      CHECK(answer.status == 201);
      CHECK(answer.headers.contains("raceway-clock"));
    }
  }
  CHECK(caller.shutdown());
  CHECK(service.shutdown());
  const std::vector<json> events = fixture.collector.events(5 * kRequests);
  for (std::size_t i = 0; i < events.size(); i += 5) {
    const auto is_of_service = [&](std::size_t at) {
      return events[i + at]["metadata"]["service_name"] == "service";
    };
    CHECK(events[i]["kind"]["HttpRequest"]["url"] == server.url() + "/x");
    CHECK(events[i + 1]["kind"]["HttpRequest"]["url"] == "/x");
    CHECK(events[i + 2]["kind"]["Custom"]["name"] == "handled");
    CHECK(events[i + 3]["kind"]["HttpResponse"]["status"] == 201);
    CHECK(events[i + 4]["kind"]["HttpResponse"]["status"] == 201);
    CHECK(
        (!is_of_service(0) && is_of_service(1) && is_of_service(2) && is_of_service(3) && !is_of_service(4)));
    for (std::size_t at = 0; at < 5; ++at) CHECK(events[i + at]["trace_id"] == events[0]["trace_id"]);
    CHECK(events[i + 1]["metadata"]["tags"]["execution"] == events[i + 3]["metadata"]["tags"]["execution"]);
  }
}

}  // namespace
}  // namespace codewake::testing
