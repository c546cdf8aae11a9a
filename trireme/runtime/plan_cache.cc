#include "trireme/runtime/plan_cache.h"

#include <atomic>
#include <list>
#include <mutex>

#include "trireme/passes/pass.h"
#include "trireme/passes/recompute.h"
#include "trireme/passes/simplify.h"

namespace trireme::runtime {

namespace {

constexpr size_t kMostPlans = 256;

struct Entry {
  uint64_t key;
  Graph graph;
  PlanOptions options;
  std::shared_ptr<Plan> plan;
};

std::atomic<size_t> made{0};

uint64_t key_of(const Graph& graph, const PlanOptions& options) {
  uint64_t key = mix_hash(graph.structural_hash(), reinterpret_cast<uintptr_t>(options.target));
  key = mix_hash(key, static_cast<uint64_t>(options.fallback));
  for (Device* device : options.input_devices) key = mix_hash(key, reinterpret_cast<uintptr_t>(device));
  for (int output : options.donated) key = mix_hash(key, static_cast<uint64_t>(output));
  return key;
}

bool same_request(const Entry& entry, const Graph& graph, const PlanOptions& options) {
  return entry.options.target == options.target && entry.options.fallback == options.fallback &&
         entry.options.input_devices == options.input_devices && entry.options.donated == options.donated &&
         same_structure(entry.graph, graph);
}

}  // namespace

size_t plans_made() { return made; }

std::shared_ptr<Plan> plan_for(const Graph& graph, const PlanOptions& options) {
  static std::mutex mutex;
  static auto* recent = new std::list<Entry>;  // the one used last in front
  const uint64_t key = key_of(graph, options);
  {
    const std::lock_guard lock(mutex);
    for (auto at = recent->begin(); at != recent->end(); ++at) {
      if (at->key != key || !same_request(*at, graph, options)) continue;
      if (at->plan->stale()) {
        recent->erase(at);
        break;
      }
      recent->splice(recent->begin(), *recent, at);
      return recent->front().plan;
    }
  }
  auto plan = Plan::make(passes::apply("simplify", passes::recompute(graph), passes::simplify), options);
  ++made;
  const std::lock_guard lock(mutex);
  recent->push_front({key, graph, options, plan});
  if (recent->size() > kMostPlans) recent->pop_back();
  return plan;
}

}  // namespace trireme::runtime
