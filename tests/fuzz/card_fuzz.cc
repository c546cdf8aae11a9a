// Any bytes as a signed chip card: only the card that the key signed is accepted, and a card that is read has one
// canonical form.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "trireme/base/error.h"
#include "trireme/certify/signature.h"

namespace {
// The private half was thrown away after it had signed corpus/card/signed.
constexpr std::string_view kKey = R"(-----BEGIN PUBLIC KEY-----
@KEY@
-----END PUBLIC KEY-----
)";
constexpr std::string_view kSigned = R"(@CANONICAL@)";
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
