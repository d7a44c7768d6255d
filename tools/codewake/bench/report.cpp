#include "bench/report.hpp"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "bench/statistics.hpp"
#include "codewake/time.hpp"
#include "codewake/version.hpp"
#include "codewake/visible.hpp"
#include "json.hpp"

namespace codewake::cli::bench {
namespace {

using enum Column::Align;
using enum Column::Fit;

std::vector<Column> list_columns() {
  return {{"NAME", left, fixed},
          {"WHAT", left, flexible},
          {"UNIT", left, fixed},
          {"PEER", left, fixed},
          {"GOAL", left, fixed}};
}

std::vector<Column> report_columns() {
  return {{"NAME", left, fixed},   {"UNIT", left, fixed},   {"OURS", right, fixed}, {"PEER", right, fixed},
          {"RATIO", right, fixed}, {"SPREAD", left, fixed}, {"GOAL", left, fixed},  {"MET", left, fixed}};
}

std::vector<std::string> report_fields() {
  return {"name",  "what",       "unit",      "ours",  "ours_low",  "ours_high",  "peer_name",
          "peer",  "peer_low",   "peer_high", "ratio", "ratio_low", "ratio_high", "goal",
          "met",   "note",       "rounds",    "cpu",   "cores",     "kernel",     "load",
          "build", "is_release", "version",   "date"};
}

std::optional<Spread> spread_or_nothing(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  return spread_of(values);
}

/// Some three digits, none that say nothing.
std::string in_short(double value) {
  if (std::abs(value) >= 100 || value == std::floor(value)) return fmt::format("{:.0f}", value);
  return fmt::format("{:.3g}", value);
}

Cell number_cell(const std::optional<Spread>& spread) {
  return spread ? Cell(in_short(spread->median)) : Cell("-", Style::dim);
}

Cell range_cell(const std::optional<Spread>& spread) {
  if (!spread || spread->low == spread->high) return {};
  return Cell(fmt::format("{} to {}", in_short(spread->low), in_short(spread->high)), Style::dim);
}

Cell met_cell(const std::optional<bool>& met) {
  if (!met) return {};
  return *met ? Cell("yes") : Cell("no", Style::alarm);
}

void add_spread(Json& json, const std::string& name, const std::optional<Spread>& spread) {
  json[name] = spread ? Json(spread->median) : Json(nullptr);
  json[name + "_low"] = spread ? Json(spread->low) : Json(nullptr);
  json[name + "_high"] = spread ? Json(spread->high) : Json(nullptr);
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

}  // namespace

BenchmarkList::BenchmarkList(Output& output, const CommonOptions& options)
    : listing_(output, options, list_columns(), {"name", "what", "unit", "peer_name", "goal"}) {}

void BenchmarkList::add(const Benchmark& benchmark) {
  const std::string goal = to_string(benchmark.goal, benchmark.unit);
  listing_.add(
      [&] {
        return Row{Cell(benchmark.name, Style::key), Cell(benchmark.what), Cell(benchmark.unit),
                   Cell(benchmark.peer), Cell(goal)};
      },
      [&] {
        return Json{{"name", benchmark.name},
                    {"what", benchmark.what},
                    {"unit", benchmark.unit},
                    {"peer_name", text_or_null(benchmark.peer)},
                    {"goal", text_or_null(goal)}};
      });
}

Report::Report(Output& output, const CommonOptions& options, std::size_t rounds)
    : output_(output),
      format_(options.format),
      rounds_(rounds),
      date_(format_time(now())),
      machine_(this_machine()),
      listing_(output, options, report_columns(), report_fields()) {
  if (options.format == Format::table) write_heading();
  if (!is_release_build()) {
    complain(
        fmt::format("this build is no release ({}): its numbers say little; build with "
                    "--buildtype=release -Db_ndebug=true",
                    build_in_words()));
  }
  if (is_busy(machine_)) {
    complain(
        fmt::format("this machine is busy (load {:.1f} on {} cores): the numbers say little of an idle one",
                    machine_.load, machine_.cores));
  }
}

void Report::write_heading() {
  const auto line = [this](std::string_view name, const std::string& text) {
    output_.write(name, Style::heading);
    output_.write(" " + visible(text) + "\n");
  };
  line("Machine:", fmt::format("{}, {} cores, {}, load {:.1f}", machine_.cpu, machine_.cores, machine_.kernel,
                               machine_.load));
  line("Version:", fmt::format("{}, {}", CODEWAKE_VERSION, build_in_words()));
  line("Date:", date_);
  line("Rounds:", fmt::format("{}; medians of these, and the ratio's from smallest to largest", rounds_));
  output_.write("\n");
}

void Report::add(const Benchmark& benchmark, const Samples& samples) {
  const std::optional<Spread> ours = spread_or_nothing(samples.ours);
  const std::optional<Spread> peer = spread_or_nothing(samples.peer);
  const std::optional<Spread> ratio = spread_or_nothing(ratios_of(samples.ours, samples.peer));
  listing_.add(
      [&] {
        return Row{Cell(benchmark.name, Style::key),
                   Cell(benchmark.unit),
                   number_cell(ours),
                   number_cell(peer),
                   ratio ? Cell(fmt::format("{:.3g}", ratio->median)) : Cell(),
                   range_cell(ratio ? ratio : ours),
                   Cell(to_string(benchmark.goal, benchmark.unit)),
                   met_cell(is_met(benchmark.goal, samples))};
      },
      [&] { return record_of(benchmark, samples); });
  if (!samples.note.empty()) notes_.push_back(fmt::format("{}: {}", benchmark.name, samples.note));
}

Json Report::record_of(const Benchmark& benchmark, const Samples& samples) const {
  const std::optional<bool> met = is_met(benchmark.goal, samples);
  Json json = {{"name", benchmark.name}, {"what", benchmark.what}, {"unit", benchmark.unit}};
  add_spread(json, "ours", spread_or_nothing(samples.ours));
  json["peer_name"] = text_or_null(benchmark.peer);
  add_spread(json, "peer", spread_or_nothing(samples.peer));
  add_spread(json, "ratio", spread_or_nothing(ratios_of(samples.ours, samples.peer)));
  json["goal"] = text_or_null(to_string(benchmark.goal, benchmark.unit));
  json["met"] = to_json_or_null(met);
  json["note"] = text_or_null(samples.note);
  json["rounds"] = rounds_;
  json["cpu"] = machine_.cpu;
  json["cores"] = machine_.cores;
  json["kernel"] = machine_.kernel;
  json["load"] = machine_.load;
  json["build"] = build_in_words();
  json["is_release"] = is_release_build();
  json["version"] = CODEWAKE_VERSION;
  json["date"] = date_;
  return json;
}

void Report::finish() {
  listing_.finish();
  if (format_ != Format::table || notes_.empty()) return;
  output_.write("\n");
  for (const std::string& note : notes_) output_.write(visible(note) + "\n");
  output_.flush();
}

}  // namespace codewake::cli::bench
