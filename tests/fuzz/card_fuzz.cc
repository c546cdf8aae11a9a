// Any bytes as a signed chip card: only the card that the key signed is accepted, and a card that is read has one
// canonical form.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "trireme/base/error.h"
#include "trireme/certify/signature.h"

namespace {
// The key of tests/signature_test.cc, which signed corpus/card/signed.
constexpr std::string_view kKey = R"(-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAP4/k1UelmSteo74FKXhvlUZcgayjVyzN5xy2VM6HMX4=
-----END PUBLIC KEY-----
)";
constexpr std::string_view kSigned =
    R"({"certified":true,"chip":"refchip","device":"Réf \"1\"\n\u0001","failures":[],"figures":{"huge":1e+16,"minus":-0.5,"ns":1e-07,"one":1.0,"third":0.3333333333333333},"gains":[1,null,"x/y"],"level":"trains","parts":{"C0":{"pass":7,"wrong":0},"C1":{"pass":3}},"seconds":12.5,"seed":18446744073709551615})";
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using trireme::Code;
  using namespace trireme::certify;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const std::string once = canonical_card(text, "fuzz");
    if (canonical_card(once, "fuzz") != once) std::abort();
    if (verified_card(text, kKey, "fuzz", "key") != kSigned) std::abort();
  } catch (const trireme::Error& error) {
    if (error.code() != Code::kDataLoss) std::abort();
  }
  return 0;
}
