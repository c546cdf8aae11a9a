#include "trireme/data/digits.h"

#include <ft2build.h>

#include FT_FREETYPE_H

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <numbers>

#include "trireme/base/error.h"
#include "trireme/base/file.h"
#include "trireme/base/strings.h"
#include "trireme/data/random.h"

namespace trireme::data {

namespace {

constexpr int kSide = 28;
constexpr size_t kMaxFonts = 48;  // more add little variety and cost memory

struct LibraryEnd {
  void operator()(FT_Library library) const { FT_Done_FreeType(library); }
};
struct FaceEnd {
  void operator()(FT_Face face) const { FT_Done_Face(face); }
};
using Library = std::unique_ptr<FT_LibraryRec_, LibraryEnd>;
using Face = std::unique_ptr<FT_FaceRec_, FaceEnd>;

Library open_library() {
  FT_Library library = nullptr;
  if (FT_Init_FreeType(&library) != 0) throw Error(Code::kInternal, "FreeType does not start");
  return Library(library);
}

// Null when the file is no scalable font with all ten digits.
Face open_face(FT_Library library, const std::string& path) {
  FT_Face face = nullptr;
  if (FT_New_Face(library, path.c_str(), 0, &face) != 0) return nullptr;
  Face owned(face);
  if (!FT_IS_SCALABLE(face)) return nullptr;
  for (char digit = '0'; digit <= '9'; ++digit) {
    if (FT_Get_Char_Index(face, static_cast<FT_ULong>(digit)) == 0) return nullptr;
  }
  return owned;
}

// One digit onto a black square of kSide x kSide.
void draw(FT_Face face, int digit, RandomStream& random, uint8_t* square) {
  const double height = random.uniform(20, 27), slant = random.uniform(-0.25, 0.25);
  const double angle = random.uniform(-12, 12) * std::numbers::pi / 180;
  const double shift_x = random.uniform(-2, 2), shift_y = random.uniform(-2, 2);
  const double ink = random.uniform(0.75, 1.0), noise = random.uniform(0, 24);
  FT_Set_Char_Size(face, 0, static_cast<FT_F26Dot6>(height * 64), 72, 72);
  // Rotation times slant, in 16.16 fixed point: x' = c x + (c slant - s) y, y' = s x + (s slant + c) y.
  const double c = std::cos(angle), s = std::sin(angle);
  const auto fixed = [](double value) { return static_cast<FT_Fixed>(std::lround(value * 65536)); };
  FT_Matrix matrix{fixed(c), fixed(c * slant - s), fixed(s), fixed(s * slant + c)};
  FT_Set_Transform(face, &matrix, nullptr);
  if (FT_Load_Char(face, static_cast<FT_ULong>('0' + digit), FT_LOAD_RENDER | FT_LOAD_NO_HINTING) == 0) {
    const FT_Bitmap& bitmap = face->glyph->bitmap;
    const int width = static_cast<int>(bitmap.width), rows = static_cast<int>(bitmap.rows);
    const int left = static_cast<int>(std::lround((kSide - width) / 2.0 + shift_x));
    const int top = static_cast<int>(std::lround((kSide - rows) / 2.0 + shift_y));
    for (int y = std::max(0, -top); y < std::min(rows, kSide - top); ++y) {
      for (int x = std::max(0, -left); x < std::min(width, kSide - left); ++x) {
        const double value = ink * bitmap.buffer[y * bitmap.pitch + x];
        square[(top + y) * kSide + left + x] = static_cast<uint8_t>(std::lround(value));
      }
    }
  }
  for (int i = 0; i < kSide * kSide; ++i) {
    const double value = square[i] + noise * (random.uniform() - 0.5);
    square[i] = static_cast<uint8_t>(std::clamp(std::lround(value), 0l, 255l));
  }
}

}  // namespace

std::vector<std::string> digit_fonts() {
  namespace fs = std::filesystem;
  std::vector<std::string> roots{"/usr/share/fonts", "/usr/local/share/fonts"};
  if (const std::string home = environment("HOME"); !home.empty()) {
    roots.push_back(home + "/.fonts");
    roots.push_back(home + "/.local/share/fonts");
  }
  std::vector<std::string> found;
  for (const std::string& root : roots) {
    std::error_code reason;
    fs::recursive_directory_iterator at(root, fs::directory_options::skip_permission_denied, reason), end;
    for (; !reason && at != end; at.increment(reason)) {
      const std::string ending = at->path().extension().string();
      if (ending == ".ttf" || ending == ".otf") found.push_back(at->path().string());
    }
  }
  std::sort(found.begin(), found.end());
  const Library library = open_library();
  std::vector<std::string> usable;
  for (const std::string& path : found) {
    if (usable.size() < kMaxFonts && open_face(library.get(), path)) usable.push_back(path);
  }
  return usable;
}

DatasetPointer draw_digits(int64_t count, uint64_t seed, const std::vector<std::string>& fonts) {
  const Library library = open_library();
  std::vector<Face> faces;
  for (const std::string& path : fonts) {
    faces.push_back(open_face(library.get(), path));
    if (!faces.back()) throw Error(Code::kInvalidArgument, cat("font '", path, "' cannot draw the digits 0 to 9"));
  }
  if (faces.empty()) {
    throw Error(Code::kNotFound,
                "cannot draw digits: no font with the digits 0 to 9 is installed; install one, for"
                " instance with: apt install fonts-dejavu-core");
  }
  Literal images = Literal::zeros(u8, {count, 1, kSide, kSide}), labels = Literal::zeros(i32, {count});
  auto* pixels = static_cast<uint8_t*>(images.mutable_data());
  auto* numbers = static_cast<int32_t*>(labels.mutable_data());
  for (int64_t i = 0; i < count; ++i) {
    RandomStream random(seed, Purpose::kDraw, 0, static_cast<uint64_t>(i));
    numbers[i] = static_cast<int32_t>(random.below(10));
    const Face& face = faces[random.below(faces.size())];
    draw(face.get(), numbers[i], random, pixels + i * kSide * kSide);
  }
  return tensor_dataset({{"image", std::move(images)}, {"label", std::move(labels)}},
                        {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"});
}

}  // namespace trireme::data
