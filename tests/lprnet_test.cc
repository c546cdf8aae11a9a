// A network trained elsewhere reads real licence plates as an independent NumPy run of the same checkpoint did, and
// gets as many right; chips that lack this or that read the same.
//
// ctest: slow timeout=900
#include "examples/lprnet.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "persona.h"
#include "trireme/base/file.h"
#include "trireme/data/find.h"
#include "trireme/data/image.h"

namespace trireme::testing {
namespace {

struct Plate {
  std::string file, truth, reference;
};

class LprNetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string archive = data::look_for_data("ocr/lprnet/images.tar");
    if (archive.empty()) GTEST_SKIP() << "no ocr/lprnet in the data folders; set TRIREME_DATA";
    if (std::system(cat("tar x -f '", archive, "' -C '", pictures_.path(), "'").c_str()) != 0) {
      GTEST_SKIP() << "tar is needed to unpack the pictures";
    }
    for (const std::string& line : split(read_file(data::find_data("ocr/lprnet/labels.tsv")), '\n')) {
      const auto cells = split(line, '\t');
      if (cells.size() == 4 && cells[0] != "file") plates_.push_back({cells[0], cells[1], cells[2]});
    }
    ASSERT_EQ(plates_.size(), 750u);
  }
  std::vector<std::string> read(const examples::LprNet& net, size_t first, size_t count) const {
    std::vector<Literal> images;
    for (size_t i = first; i < std::min(first + count, plates_.size()); ++i) {
      images.push_back(data::read_image(pictures_ / plates_[i].file, 3));
    }
    return net.read(images);
  }

  std::string checkpoint_ = "ocr/lprnet/Final_LPRNet_model.pth";
  TemporaryFolder pictures_;
  std::vector<Plate> plates_;
};

TEST_F(LprNetTest, ReadsAsTheReferenceDid) {
  set_device("cpu");
  const examples::LprNet net(data::find_data(checkpoint_));
  size_t right = 0, same = 0;
  constexpr size_t batch = 50;
  for (size_t first = 0; first < plates_.size(); first += batch) {
    const auto texts = read(net, first, batch);
    for (size_t i = 0; i < texts.size(); ++i) {
      right += texts[i] == plates_[first + i].truth;
      same += texts[i] == plates_[first + i].reference;
    }
  }
  EXPECT_GE(right, 668u);
  EXPECT_GE(same, 748u);  // two classes may be so near that rounding decides
}

TEST_F(LprNetTest, OtherChipsReadTheSame) {
  set_fallback(Fallback::kAllow);
  for (const std::string persona : {"minimal-13", "nhwc-only"}) {
    set_device(persona_device(persona).name());
    const auto texts = read(examples::LprNet(data::find_data(checkpoint_)), 0, 2);
    for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(texts[i], plates_[i].reference) << persona;
  }
  set_device("cpu");
}

}  // namespace
}  // namespace trireme::testing
