#include "kept_kernels.h"

#include <cstring>
#include <map>
#include <mutex>

#include "trireme/base/strings.h"

namespace trireme::refchip {
namespace {

struct Kept {
  std::mutex mutex;
  std::map<uint64_t, chip::Program> programs;
};
// Never destroyed, as the plug-ins are not.
Kept& kept() {
  static Kept* const one = new Kept;
  return *one;
}

// One bit of the key changes half of these.
uint64_t sum_of(uint64_t key) {
  key = (key ^ (key >> 31)) * 0x9e3779b97f4a7c15u;
  return key ^ (key >> 29);
}

}  // namespace

std::string build_id(const Persona& persona) { return cat("refchip-1-", persona.name, "-", persona.hash); }

std::vector<std::byte> keep_kernel(const Device& device, const Kernel& kernel) {
  const uint64_t program = kernel.program.hash();
  const uint64_t words[] = {program, sum_of(program)};
  {
    const std::lock_guard lock(kept().mutex);
    kept().programs.insert_or_assign(program, kernel.program);
  }
  const std::string& build = device.build_id();
  std::vector<std::byte> out(build.size() + 1 + sizeof words);
  std::memcpy(out.data(), build.c_str(), build.size() + 1);
  std::memcpy(out.data() + build.size() + 1, words, sizeof words);
  return out;
}

std::unique_ptr<Kernel> load_kernel(const Device& device, std::span<const std::byte> blob) {
  const std::string& build = device.build_id();
  uint64_t words[2] = {};
  if (blob.size() < build.size() + 1 || std::memcmp(blob.data(), build.c_str(), build.size() + 1) != 0) {
    throw chip::Failure(TRM_INVALID, cat("deserialize: no kernel of build ", build, "; prepare it again"));
  }
  const auto rest = blob.subspan(build.size() + 1);
  if (rest.size() != sizeof words) {
    throw chip::Failure(TRM_INVALID, cat("deserialize: a kernel has ", build.size() + 1 + sizeof words, " bytes, not ",
                                         blob.size(), "; prepare it again"));
  }
  std::memcpy(words, rest.data(), sizeof words);
  if (words[1] != sum_of(words[0])) {
    throw chip::Failure(TRM_INVALID, "deserialize: the kernel's check sum is wrong; prepare it again");
  }
  const std::lock_guard lock(kept().mutex);
  const auto found = kept().programs.find(words[0]);
  if (found == kept().programs.end()) {
    throw chip::Failure(TRM_INVALID, "deserialize: a kernel of another process; prepare it again");
  }
  return prepare(device, found->second);
}

}  // namespace trireme::refchip
