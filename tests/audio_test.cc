#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <numbers>

#include "persona.h"
#include "trireme/audio/frames.h"
#include "trireme/audio/wav.h"
#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/core/philox.h"
#include "trireme/data/find.h"

namespace trireme::audio {
namespace {

std::string little(uint64_t value, size_t width) {
  std::string out;
  for (size_t i = 0; i < width; ++i) out += static_cast<char>(value >> 8 * i & 0xFF);
  return out;
}

// A file by the published layout, not by our writer.
std::string made(uint64_t coding, uint64_t channels, uint64_t bits, const std::string& samples,
                 const std::string& before = "") {
  const std::string format = little(coding, 2) + little(channels, 2) + little(8000, 4) +
                             little(8000 * channels * bits / 8, 4) + little(channels * bits / 8, 2) + little(bits, 2);
  const std::string body =
      "WAVE" + before + "fmt " + little(format.size(), 4) + format + "data" + little(samples.size(), 4) + samples;
  return "RIFF" + little(body.size(), 4) + body;
}
Wav parsed(const std::string& text) {
  return parse_wav(std::as_bytes(std::span<const char>(text.data(), text.size())), "made.wav");
}
void expect_refused(const std::string& text, const std::string& part, Code code = Code::kDataLoss) {
  try {
    parsed(text);
    ADD_FAILURE() << "accepted; expected '" << part << "'";
  } catch (const Error& error) {
    EXPECT_EQ(code_name(error.code()), code_name(code)) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}
template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST(Wav, EveryCoding) {
  const std::vector<double> truth = {0, 0.5, -1, -0.25};
  const auto expect = [&](const std::string& file) { EXPECT_EQ(parsed(file).samples.to_doubles(), truth); };
  expect(made(1, 1, 8, bytes_of<uint8_t>({128, 192, 0, 96})));
  expect(made(1, 1, 16, bytes_of<int16_t>({0, 16384, -32768, -8192})));
  expect(made(1, 1, 24, little(0, 3) + little(1 << 22, 3) + little(0x800000, 3) + little(0xE00000, 3)));
  expect(made(1, 1, 32, bytes_of<int32_t>({0, 1 << 30, INT32_MIN, -(1 << 29)})));
  expect(made(3, 1, 32, bytes_of<float>({0, 0.5f, -1, -0.25f})));
  expect(made(3, 1, 64, bytes_of<double>(truth)));
}

TEST(Wav, ChannelsChunksAndOpenEnds) {
  const std::string samples = bytes_of<int16_t>({0, 16384, -32768, -8192});
  const Wav stereo = parsed(made(1, 2, 16, samples, "LIST" + little(3, 4) + "abc\0" + std::string(1, '\0')));
  EXPECT_EQ(stereo.rate, 8000);
  EXPECT_EQ(stereo.samples.shape(), (Shape{2, 2}));
  EXPECT_EQ(stereo.samples.to_doubles(), (std::vector<double>{0, -1, 0.5, -0.25}));
  std::string piped = made(1, 1, 16, samples);
  piped.replace(piped.find("data") + 4, 4, "\xff\xff\xff\xff");
  EXPECT_EQ(parsed(piped).samples.shape(), (Shape{1, 4}));
}

TEST(Wav, WhatIsWrittenIsRead) {
  const TemporaryFolder folder;
  const Wav wav = {44100, Literal::from_doubles(f32, {2, 3}, std::vector<double>{0, 0.5, -1, 1.0, 2.0, -0.25})};
  write_wav(folder / "a.wav", wav);
  const Wav back = read_wav(folder / "a.wav");
  EXPECT_EQ(back.rate, 44100);
  EXPECT_EQ(back.samples.to_doubles(), (std::vector<double>{0, 0.5, -1, 32767.0 / 32768, 32767.0 / 32768, -0.25}));
  EXPECT_THROW(write_wav(folder / "b.wav", {0, wav.samples}), Error);
}

TEST(Wav, FilesOfOthers) {
  const std::string path = data::look_for_data("onnx-models/silero_vad/sample.wav");
  if (path.empty()) GTEST_SKIP() << "no onnx-models/silero_vad in the data folders; set TRIREME_DATA";
  const Wav wav = read_wav(path);
  EXPECT_EQ(wav.rate, 16000);
  EXPECT_EQ(wav.samples.shape()[0], 1);
  EXPECT_NEAR(static_cast<double>(wav.samples.elements()), 352078 / 2.0, 200);  // 16 bits each, but for the header
}

TEST(Wav, Refusals) {
  const std::string sound = made(1, 1, 16, bytes_of<int16_t>({1, 2, 3, 4}));
  for (size_t size = 0; size < sound.size(); ++size) EXPECT_THROW(parsed(sound.substr(0, size)), Error) << size;
  expect_refused("RIFX" + sound.substr(4), "does not begin like a WAV file");
  expect_refused(made(2, 1, 16, "abcd"), "coding 2", Code::kUnsupported);
  expect_refused(made(1, 1, 12, "abcd"), "12 bits", Code::kUnsupported);
  expect_refused(made(1, 0, 16, "abcd"), "0 channels");
  expect_refused(made(1, 1, 16, "abcd", "LIST" + little(0x7FFFFFFF, 4)), "claims 2147483647 bytes");
  expect_refused("RIFF" + little(4, 4) + "WAVEdata" + little(2, 4) + "ab", "before their description");
  expect_refused(made(3, 1, 32, bytes_of<float>({0, NAN})), "sample 1 is not finite");
}

TEST(Frames, AreThePiecesOfTheSignal) {
  std::vector<float> signal;
  for (int i = 0; i < 20; ++i) signal.push_back(static_cast<float>(i));
  const Literal pieces = frames(tensor(signal, {2, 10}), 4, 3).literal();
  ASSERT_EQ(pieces.shape(), (Shape{2, 3, 4}));
  for (int64_t row = 0; row < 2; ++row) {
    for (int64_t i = 0; i < 3; ++i) {
      for (int64_t k = 0; k < 4; ++k)
        EXPECT_EQ(pieces.at((row * 3 + i) * 4 + k), static_cast<double>(row * 10 + 3 * i + k));
    }
  }
  EXPECT_THROW(frames(tensor(signal, {20}), 21, 1), Error);
  EXPECT_THROW(frames(tensor(signal, {20}), 4, 0), Error);
}

TEST(Frames, SpectrumEqualsTheDefinition) {
  constexpr int64_t length = 24, step = 7, total = 61;
  std::vector<float> signal;
  for (uint64_t i = 0; i < total; ++i) signal.push_back(static_cast<float>(philox_word({1, 0, 0, 0}, i) * 0x1p-31 - 1));
  set_fallback(Fallback::kAllow);
  for (const std::string& device : {std::string("cpu"), testing::persona_device("minimal-13").name()}) {
    set_device(device);
    const Spectrum got = spectrum(frames(tensor(signal, {total}), length, step) * hann_window(length));
    const Literal real = got.real.literal(), imaginary = got.imaginary.literal();
    ASSERT_EQ(real.shape(), (Shape{(total - length) / step + 1, length / 2 + 1}));
    for (int64_t i = 0; i < real.shape()[0]; ++i) {
      for (int64_t k = 0; k <= length / 2; ++k) {
        std::complex<double> truth = 0;
        for (int64_t n = 0; n < length; ++n) {
          const double turn = 2 * std::numbers::pi * static_cast<double>(n) / length;
          truth +=
              std::polar(static_cast<double>(signal[static_cast<size_t>(i * step + n)]) * (0.5 - 0.5 * std::cos(turn)),
                         -turn * static_cast<double>(k));
        }
        EXPECT_NEAR(real.at(i * (length / 2 + 1) + k), truth.real(), 1e-5);
        EXPECT_NEAR(imaginary.at(i * (length / 2 + 1) + k), truth.imag(), 1e-5);
      }
    }
  }
  set_device("cpu");
}

}  // namespace
}  // namespace trireme::audio
