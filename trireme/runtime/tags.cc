#include "trireme/runtime/tags.h"

#include <array>
#include <mutex>

namespace trireme::runtime {

namespace {

struct Run {
  uint64_t first = 0;
  std::shared_ptr<const StepTexts> texts;
};

struct Table {
  std::mutex mutex;
  uint64_t next_tag = 1, next_run = 0;
  std::array<Run, 1024> runs;
};

Table& table() {
  static auto* instance = new Table;
  return *instance;
}

}  // namespace

uint64_t reserve_tags(std::shared_ptr<const StepTexts> texts) {
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  const uint64_t first = t.next_tag;
  t.next_tag += texts->size();
  t.runs[t.next_run++ % t.runs.size()] = {first, std::move(texts)};
  return first;
}

std::string tag_text(uint64_t tag) {
  Table& t = table();
  const std::lock_guard lock(t.mutex);
  for (const Run& run : t.runs) {
    if (run.texts && tag >= run.first && tag - run.first < run.texts->size()) return (*run.texts)[tag - run.first];
  }
  return {};
}

}  // namespace trireme::runtime
