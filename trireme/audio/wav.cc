#include "trireme/audio/wav.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"

namespace trireme::audio {

namespace {

constexpr uint64_t kPcm = 1, kFloat = 3, kExtensible = 0xFFFE;

// "RIFF" size "WAVE", then chunks: a name of 4 bytes, a size, that many bytes and one more where it is odd.
class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  Wav read() {
    if (text(0) != "RIFF" || text(8) != "WAVE") refuse("it does not begin like a WAV file");
    for (size_t at = 12; at + 8 <= bytes_.size();) {
      const std::string_view name = text(at);
      const uint64_t size = number(at + 4, 4);
      at += 8;
      const uint64_t rest = bytes_.size() - at;
      if (name == "data") return samples(at, size, rest);
      if (size > rest) refuse(cat("chunk '", name, "' claims ", size, " bytes, but ", rest, " follow"));
      if (name == "fmt ") format(at, size);
      at += size + size % 2;
    }
    refuse("it has no samples: it is cut short before them");
  }

 private:
  [[noreturn]] void refuse(const std::string& what, Code code = Code::kDataLoss) const {
    throw Error(code, cat("WAV file '", source_, "': ", what));
  }
  std::string_view text(size_t at) const {
    if (bytes_.size() < at + 4) refuse("it is cut short");
    return {reinterpret_cast<const char*>(bytes_.data()) + at, 4};
  }
  uint64_t number(size_t at, size_t width) const {
    if (bytes_.size() < at + width) refuse("it is cut short");
    uint64_t out = 0;
    for (size_t i = width; i-- > 0;) out = out << 8 | std::to_integer<uint64_t>(bytes_[at + i]);
    return out;
  }

  void format(size_t at, uint64_t size) {
    if (size < 16) refuse("its description of the samples is cut short");
    coding_ = number(at, 2);
    channels_ = static_cast<int64_t>(number(at + 2, 2));
    rate_ = static_cast<int64_t>(number(at + 4, 4));
    bits_ = number(at + 14, 2);
    if (coding_ == kExtensible && size >= 26) coding_ = number(at + 24, 2);
    if (channels_ < 1 || rate_ < 1) refuse(cat("it claims ", channels_, " channels at ", rate_, " samples per second"));
    const bool pcm = coding_ == kPcm && (bits_ == 8 || bits_ == 16 || bits_ == 24 || bits_ == 32);
    if (!pcm && !(coding_ == kFloat && (bits_ == 32 || bits_ == 64))) {
      refuse(cat("coding ", coding_, " with ", bits_,
                 " bits is not read; save as PCM of 8, 16, 24 or 32 bits or as floats"),
             Code::kUnsupported);
    }
  }

  Wav samples(size_t at, uint64_t size, uint64_t rest) const {
    if (channels_ == 0) refuse("its samples come before their description");
    // Programs that write to a pipe do not know the size and leave 0 or the largest number.
    const bool open_end = size == 0 || size == UINT32_MAX;
    if (!open_end && size > rest)
      refuse(cat("it claims ", size, " bytes of samples, but ", rest, " follow: it is cut short"));
    const size_t width = bits_ / 8, frame = width * static_cast<size_t>(channels_);
    const auto length = static_cast<int64_t>((open_end ? rest : size) / frame);
    Literal out = Literal::zeros(f32, {channels_, length});
    auto* to = static_cast<float*>(out.mutable_data());
    for (int64_t i = 0; i < length; ++i) {
      for (int64_t channel = 0; channel < channels_; ++channel, at += width) {
        const float value = sample(at, width);
        if (!std::isfinite(value)) refuse(cat("sample ", i, " is not finite"));
        to[channel * length + i] = value;
      }
    }
    return {rate_, std::move(out)};
  }

  float sample(size_t at, size_t width) const {
    const uint64_t raw = number(at, width);
    if (coding_ == kFloat) {
      return width == 4 ? std::bit_cast<float>(static_cast<uint32_t>(raw))
                        : static_cast<float>(std::bit_cast<double>(raw));
    }
    if (width == 1) return static_cast<float>(static_cast<int>(raw) - 128) / 128.0f;  // alone without a sign
    const size_t unused = 64 - 8 * width;
    const auto value = static_cast<int64_t>(raw << unused) >> unused;
    return static_cast<float>(static_cast<double>(value) * std::ldexp(1.0, 1 - static_cast<int>(bits_)));
  }

  std::span<const std::byte> bytes_;
  const std::string& source_;
  uint64_t coding_ = 0, bits_ = 0;
  int64_t channels_ = 0, rate_ = 0;
};

}  // namespace

Wav parse_wav(std::span<const std::byte> bytes, const std::string& source) { return Reader(bytes, source).read(); }

Wav read_wav(const std::string& path) {
  const auto file = MappedFile::open(path);
  return parse_wav(file->bytes(), path);
}

void write_wav(const std::string& path, const Wav& wav) {
  const Shape& shape = wav.samples.shape();
  if (wav.samples.dtype() != f32 || shape.rank() != 2 || shape[0] < 1 || shape[0] > 0xFFFF || wav.rate < 1 ||
      wav.rate > UINT32_MAX || shape.elements() > (1 << 30)) {
    throw Error(Code::kInvalidArgument,
                cat("cannot write '", path, "': samples are f32 [channels, length], less than 2 GiB, ",
                    "at a rate above 0; given ", wav.samples.dtype(), shape, " at ", wav.rate));
  }
  std::string out;
  const auto put = [&](uint64_t value, size_t width) {
    for (size_t i = 0; i < width; ++i) out += static_cast<char>(value >> 8 * i & 0xFF);
  };
  const auto channels = static_cast<uint64_t>(shape[0]), rate = static_cast<uint64_t>(wav.rate);
  const uint64_t size = static_cast<uint64_t>(shape.elements()) * 2;
  out += "RIFF", put(36 + size, 4), out += "WAVEfmt ", put(16, 4), put(kPcm, 2), put(channels, 2), put(rate, 4);
  put(rate * channels * 2, 4), put(channels * 2, 2), put(16, 2), out += "data", put(size, 4);
  const auto samples = wav.samples.values<float>();
  for (int64_t i = 0; i < shape[1]; ++i) {
    for (int64_t channel = 0; channel < shape[0]; ++channel) {
      const float value = std::clamp(samples[static_cast<size_t>(channel * shape[1] + i)], -1.0f, 1.0f);
      put(static_cast<uint16_t>(static_cast<int16_t>(std::min(32767L, std::lround(value * 32768.0f)))), 2);
    }
  }
  write_file_atomically(path, out);
}

}  // namespace trireme::audio
