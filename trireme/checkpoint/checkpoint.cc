#include "trireme/checkpoint/checkpoint.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/log.h"
#include "trireme/base/strings.h"
#include "trireme/formats/safetensors.h"

namespace trireme::checkpoint {

namespace {

constexpr std::string_view kPrefix = "step-", kSuffix = ".safetensors";
constexpr const char* kDigest = "digest";  // the fact that holds digest_of the rest

// FNV-1a over 64-bit words (Fowler, Noll, Vo). Each step is a bijection, so a change within one word always shows.
class Digest {
 public:
  void add(const void* data, size_t size) {
    word(size);
    const char* at = static_cast<const char*>(data);
    for (; size >= 8; at += 8, size -= 8) word(read(at, 8));
    if (size > 0) word(read(at, size));
  }
  void add(const std::string& text) { add(text.data(), text.size()); }
  std::string text() const { return std::to_string(value_); }

 private:
  static uint64_t read(const char* at, size_t size) {
    uint64_t out = 0;
    std::memcpy(&out, at, size);
    return out;
  }
  void word(uint64_t w) { value_ = (value_ ^ w) * 0x100000001b3u; }
  uint64_t value_ = 0xcbf29ce484222325u;
};

// Of names, types, values and facts: a safetensors file has no check of its own payload.
std::string digest_of(const Contents& contents) {
  Digest digest;
  for (const auto& [name, value] : contents.tensors) {
    digest.add(name);
    digest.add(cat(value.dtype(), value.shape()));
    digest.add(value.data(), value.bytes());
  }
  for (const auto& [name, text] : contents.facts) {
    digest.add(name);
    digest.add(text);
  }
  return digest.text();
}

// (step, path) of every checkpoint in the folder, oldest first.
std::vector<std::pair<int64_t, std::string>> listed(const std::string& folder) {
  std::vector<std::pair<int64_t, std::string>> out;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    const std::string digits = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
    const bool number = !digits.empty() && digits.size() < 18 &&
                        std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (number) out.emplace_back(std::stoll(digits), entry.path().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

Contents collect(const std::vector<nn::NamedTensor>& state) {
  Contents out;
  std::vector<Tensor> all;
  for (const nn::NamedTensor& each : state) all.push_back(each.tensor);
  eval(all);
  for (const nn::NamedTensor& each : state) {
    const bool fresh = out.tensors.emplace(each.name, each.tensor.literal()).second;
    TRIREME_CHECK(fresh, cat("two tensors of a checkpoint are called ", each.name));
  }
  return out;
}

void restore(const std::vector<nn::NamedTensor>& state, const Contents& contents, const std::string& source) {
  std::vector<std::string> problems, known;
  for (const auto& [name, value] : contents.tensors) known.push_back(name);
  for (const nn::NamedTensor& each : state) {
    const auto at = contents.tensors.find(each.name);
    if (at == contents.tensors.end()) {
      const std::string near = nearest_name(each.name, known);
      problems.push_back(cat(each.name, " is missing", near.empty() ? "" : " (it has " + near + ")"));
    } else if (at->second.dtype() != each.tensor.dtype() || !(at->second.shape() == each.tensor.shape())) {
      problems.push_back(cat(each.name, " is ", at->second.dtype(), at->second.shape(), " there and ",
                             each.tensor.dtype(), each.tensor.shape(), " here"));
    }
  }
  if (!problems.empty()) {
    const size_t all = problems.size();
    if (all > 8) problems.resize(8);
    throw Error(Code::kDataLoss, cat(source, " does not fit this model: ", join(problems, "; "),
                                     all > 8 ? cat("; and ", all - 8, " more") : "",
                                     "; build the model it was saved from, or start without it"));
  }
  for (const nn::NamedTensor& each : state) {
    Tensor variable = each.tensor;
    variable.assign(Tensor(contents.tensors.at(each.name)));
  }
}

std::string save(const std::string& folder, int64_t step, const Contents& contents, int keep) {
  make_folders(folder);
  char name[64];
  std::snprintf(name, sizeof name, "step-%08lld.safetensors", static_cast<long long>(step));
  const std::string path = folder + "/" + name;
  auto facts = contents.facts;
  facts[kDigest] = digest_of(contents);
  formats::write_safetensors(path, {contents.tensors, facts});
  prune(folder, keep);
  return path;
}

void prune(const std::string& folder, int keep) {
  auto all = listed(folder);
  while (static_cast<int>(all.size()) > std::max(keep, 1)) {
    std::error_code ignored;
    std::filesystem::remove(all.front().second, ignored);
    all.erase(all.begin());
  }
}

Contents load(const std::string& path) {
  auto file = formats::read_safetensors(path);
  Contents out{std::move(file.tensors), std::move(file.metadata)};
  const auto digest = out.facts.extract(kDigest);
  if (digest.empty() || digest.mapped() != digest_of(out)) {
    throw Error(Code::kDataLoss, cat(path,
                                     digest.empty() ? " has no digest: it is no checkpoint"
                                                    : " does not match its digest: bytes in it have changed",
                                     "; take an older checkpoint"));
  }
  return out;
}

std::optional<Found> load_latest(const std::string& folder) {
  auto all = listed(folder);
  for (auto at = all.rbegin(); at != all.rend(); ++at) {
    try {
      return Found{at->second, at->first, load(at->second)};
    } catch (const Error& failure) {
      if (std::next(at) == all.rend()) {
        throw Error(Code::kDataLoss, cat(folder, " has checkpoints and none can be read; the oldest: ", failure.what(),
                                         "; bring back a good one, or remove the folder to start anew"));
      }
      log_warn(cat(failure.what(), "; taking the checkpoint before it"));
    }
  }
  return std::nullopt;
}

}  // namespace trireme::checkpoint
