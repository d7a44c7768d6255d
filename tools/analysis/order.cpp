#include "order.hpp"

#include <algorithm>
#include <utility>

namespace codewake::analysis {

Order::Order(const History& history, Kind kind)
    : history_(history),
      clocks_(history.executions.size()),
      has_edges_(history.events.size()),
      is_done_(history.events.size()),
      is_contradictory_(history.executions.size()),
      progress_(history.executions.size()) {
  const auto key_of = [](const Publication& publication) {
    return std::pair(publication.execution, publication.position);
  };
  const auto publication_of = [&](const Precedence& precedence) {
    return Publication{.execution = precedence.execution,
                       .position = history.count_within(precedence.execution, precedence.steps)};
  };
  const auto counts = [&](const Precedence& precedence) {
    return precedence.is_firm || kind == Kind::observed;
  };
  for (const Precedence& precedence : history.precedences) {
    if (!counts(precedence)) continue;
    const Publication publication = publication_of(precedence);
    if (publication.position > 0) publications_.push_back(publication);
  }
  std::sort(publications_.begin(), publications_.end(),
            [&](const Publication& a, const Publication& b) { return key_of(a) < key_of(b); });
  publications_.erase(
      std::unique(publications_.begin(), publications_.end(),
                  [&](const Publication& a, const Publication& b) { return key_of(a) == key_of(b); }),
      publications_.end());
  publications_.shrink_to_fit();
  std::uint32_t first = 0;
  for (std::uint32_t execution = 0; execution < history.executions.size(); ++execution) {
    while (first < publications_.size() && publications_[first].execution < execution) ++first;
    first_publication_.push_back(first);
  }
  first_publication_.push_back(static_cast<std::uint32_t>(publications_.size()));
  for (const Precedence& precedence : history.precedences) {
    if (!counts(precedence)) continue;
    const Publication wanted = publication_of(precedence);
    if (wanted.position == 0) continue;
    const auto found =
        std::lower_bound(publications_.begin() + first_publication_[wanted.execution],
                         publications_.begin() + first_publication_[wanted.execution + 1], wanted.position,
                         [](const Publication& publication, std::uint32_t position) {
                           return publication.position < position;
                         });
    ++found->wanted;
    edges_.push_back({precedence.event, static_cast<std::uint32_t>(found - publications_.begin())});
    has_edges_[precedence.event] = true;
  }
}

std::span<const std::uint32_t> Order::events_of(std::uint32_t execution, std::uint32_t epoch) const {
  const auto its = history_.events_of(execution);
  const std::uint32_t first = first_publication_[execution];
  const std::uint32_t count = first_publication_[execution + 1] - first;
  const std::size_t from = epoch == 1 ? 0 : publications_[first + epoch - 2].position;
  const std::size_t to = epoch > count ? its.size() : publications_[first + epoch - 1].position;
  return its.subspan(from, to - from);
}

std::size_t Order::first_edge_of(std::uint32_t event) const {
  const auto first =
      std::lower_bound(edges_.begin(), edges_.end(), event,
                       [](const Edge& edge, std::uint32_t wanted) { return edge.event < wanted; });
  return static_cast<std::size_t>(first - edges_.begin());
}

// Whether another execution has to go on first, which then waits to.
bool Order::is_wanting(std::uint32_t event) {
  for (std::size_t i = first_edge_of(event); i < edges_.size() && edges_[i].event == event; ++i) {
    const Publication& publication = publications_[edges_[i].publication];
    Progress& other = progress_[publication.execution];
    if (other.done >= publication.position) continue;
    if (other.is_waiting) {
      is_contradictory_[publication.execution] = true;
      is_contradictory_[history_.events[event].execution] = true;
      continue;
    }
    other.is_waiting = true;
    waits_.push_back({publication.execution, publication.position});
    return true;
  }
  return false;
}

// The one that was heard of last comes last, and has told most of the others.
void Order::learn(std::uint32_t event) {
  Progress& progress = progress_[history_.events[event].execution];
  const std::size_t first = first_edge_of(event);
  std::size_t last = first;
  while (last < edges_.size() && edges_[last].event == event) ++last;
  while (last-- > first) {
    const std::uint32_t number = edges_[last].publication;
    Publication& publication = publications_[number];
    const std::uint32_t epoch = number - first_publication_[publication.execution] + 1;
    const bool is_there = progress_[publication.execution].done >= publication.position;
    if (is_there && clocks_.epoch_of(progress.clock, publication.execution) < epoch)
      progress.clock = clocks_.joined(progress.clock, publication.clock);
    if (--publication.wanted == 0 && is_there) {
      clocks_.release(publication.clock);
      publication.clock = nullptr;
    }
  }
}

void Order::publish(std::uint32_t execution) {
  Progress& progress = progress_[execution];
  const std::uint32_t number = first_publication_[execution] + progress.epoch - 1;
  if (number < first_publication_[execution + 1] && publications_[number].position == progress.done) {
    if (publications_[number].wanted > 0) publications_[number].clock = clocks_.share(progress.clock);
    ++progress.epoch;
    progress.knows_epoch = false;
  }
  if (progress.done == history_.events_of(execution).size()) {
    clocks_.release(progress.clock);
    progress.clock = nullptr;
  }
}

}  // namespace codewake::analysis
