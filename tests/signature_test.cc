// Signed chip cards: the signature is what OpenSSL's own command made over bytes that Python wrote; every kind of
// alteration is noticed, and the wrong keys are refused with what to do.
#include "trireme/certify/signature.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::certify {
namespace {

using Json = nlohmann::json;

// Keys of this test, made with `openssl genpkey`, and of nothing else.
constexpr const char* kPrivate = R"(-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIEQ8mzOJGY+o8jrBDJhVVmmMn1aLvVhCNXlBgzATj/OM
-----END PRIVATE KEY-----
)";
constexpr const char* kPublic = R"(-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAP4/k1UelmSteo74FKXhvlUZcgayjVyzN5xy2VM6HMX4=
-----END PUBLIC KEY-----
)";
constexpr const char* kOtherPublic = R"(-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA4p6nTvNdoibUMBPz/XsjHYAsF9K/7SCqY/wDYgv2y8s=
-----END PUBLIC KEY-----
)";
constexpr const char* kLocked = R"(-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhy7qmhJUVdWQICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEL5G3+aEW0uE+wSbukm7JXMEQGyc
SBJYZZ7z5Zpyfe+P+5xH3bfDHLnxd80zn4Pn5GSez+BBjCndvBKCFVpMrGPHYcCd
6AHadicuG45iNBQudU8=
-----END ENCRYPTED PRIVATE KEY-----
)";
constexpr const char* kCurve = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgxR59wlOo1rKdfskq
Jbzp2m/KlJqR+vidOhqDxTYmNXmhRANCAAT8wytRhXDpGSEYZPG7Iva8o38dmx2j
MJg4xJXANyrh5rGXN9TttarOuI5PscP2IfMXppUJmoJZuzWm9vhAzjEB
-----END PRIVATE KEY-----
)";

constexpr const char* kCard = R"({"chip": "refchip", "level": "trains", "certified": true, "seconds": 12.5,
 "seed": 18446744073709551615, "parts": {"C1": {"pass": 3}, "C0": {"pass": 7, "wrong": 0}},
 "figures": {"ns": 1e-07, "huge": 1e+16, "third": 0.3333333333333333, "one": 1.0, "minus": -0.5},
 "device": "R\u00e9f \"1\"\n\u0001", "failures": [], "gains": [1, null, "x/y"]})";
// json.dumps(card, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
constexpr const char* kCanonical =
    R"({"certified":true,"chip":"refchip","device":"Réf \"1\"\n\u0001","failures":[],"figures":{"huge":1e+16,)"
    R"("minus":-0.5,"ns":1e-07,"one":1.0,"third":0.3333333333333333},"gains":[1,null,"x/y"],"level":"trains",)"
    R"("parts":{"C0":{"pass":7,"wrong":0},"C1":{"pass":3}},"seconds":12.5,"seed":18446744073709551615})";
// openssl pkeyutl -sign -rawin over those bytes
constexpr const char* kSignature =
    "97ax6X7eVCpkIwHl3Wek5/iiTuLP02BcdyHrfRDL8AAz/bbP2pU/VrIMrjE42qB2RiCynK76nb8Ui19s70bwCQ==";

Json signed_card() { return Json::parse(PrivateKey(kPrivate, "key.pem").sign(kCard)); }

// How it is refused; empty when it is not.
std::string refusal(const std::string& card, const std::string& key = kPublic) {
  try {
    verified_card(card, key, "card.json", "public.pem");
    return {};
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDataLoss) << error.what();
    EXPECT_NE(std::string(error.what()).find("card.json"), std::string::npos) << error.what();
    return error.what();
  }
}

TEST(Signature, IsWhatOpenSslMakesOfWhatPythonWrites) {
  EXPECT_EQ(canonical_card(kCard, "card"), kCanonical);
  const Json card = signed_card();
  EXPECT_EQ(card["signature"]["algorithm"], "ed25519");
  EXPECT_EQ(card["signature"]["public_key"], "P4/k1UelmSteo74FKXhvlUZcgayjVyzN5xy2VM6HMX4=");
  EXPECT_EQ(card["signature"]["value"], kSignature);
  EXPECT_EQ(verified_card(card.dump(), kPublic, "card.json", "public.pem"), kCanonical);
}

TEST(Signature, HoldsOverSpacesAndOrder) {
  const Json card = signed_card();
  EXPECT_EQ(refusal(card.dump(4)), "");
  std::string turned = "{";
  for (auto at = card.rbegin(); at != card.rend(); ++at) {
    turned += cat(turned.size() > 1 ? ",\n" : "", Json(at.key()).dump(), " : ", at.value().dump(2));
  }
  EXPECT_EQ(refusal(turned + "}"), "");
  // Signing again replaces the signature.
  EXPECT_EQ(PrivateKey(kPrivate, "key.pem").sign(card.dump()), card.dump());
}

TEST(Signature, NoticesEveryAlteration) {
  const std::vector<std::pair<const char*, void (*)(Json&)>> alterations = {
      {"a value", [](Json& c) { c["level"] = "complete"; }},
      {"a count", [](Json& c) { c["parts"]["C0"]["wrong"] = 1; }},
      {"a figure by its last bit", [](Json& c) { c["figures"]["third"] = 0.33333333333333337; }},
      {"an integer that becomes a float", [](Json& c) { c["gains"][0] = 1.0; }},
      {"one more member", [](Json& c) { c["note"] = ""; }},
      {"one less member", [](Json& c) { c.erase("failures"); }},
      {"the order of a list", [](Json& c) { std::swap(c["gains"][0], c["gains"][1]); }},
      {"a bit of the signature",
       [](Json& c) { c["signature"]["value"] = "8" + c["signature"]["value"].get<std::string>().substr(1); }},
      {"a signature of zeros", [](Json& c) { c["signature"]["value"] = std::string(86, 'A') + "=="; }},
      {"a shorter signature", [](Json& c) { c["signature"]["value"] = "97ax"; }},
      {"a signature that is not base64", [](Json& c) { c["signature"]["value"] = std::string(88, '!'); }},
      {"an empty signature", [](Json& c) { c["signature"]["value"] = ""; }},
  };
  for (const auto& [what, alter] : alterations) {
    Json card = signed_card();
    alter(card);
    EXPECT_NE(refusal(card.dump()).find("was altered after it was signed"), std::string::npos) << what;
  }
}

TEST(Signature, TellsWhatElseIsWrong) {
  const auto expect = [](const std::string& card, const std::string& says, const std::string& key = kPublic) {
    const std::string told = refusal(card, key);
    EXPECT_NE(told.find(says), std::string::npos) << told << "\nexpected: " << says;
  };
  const Json card = signed_card();
  expect(card.dump(), "is signed with another key", kOtherPublic);
  expect(kCard, "is not signed");
  const auto with = [&](const char* name, const Json& value) {
    Json other = card;
    other["signature"][name] = value;
    return other.dump();
  };
  expect(with("algorithm", "none"), "of the algorithm \"none\"");
  expect(with("algorithm", 1), "no text \"algorithm\"");
  expect(with("value", nullptr), "no text \"value\"");
  expect(with("public_key", "AAAA"), "is signed with another key");
  expect(with("comment", "more"), "other members");
  Json bare = card;
  bare["signature"] = kSignature;
  expect(bare.dump(), "no text");
  std::string twice = card.dump();
  twice.insert(1, "\"level\":\"complete\",");
  expect(twice, "is there twice");
  expect("", "is no chip card");
  expect("[1]", "must be one JSON object");
  expect(card.dump() + "x", "is no chip card");
  expect(card.dump().substr(0, 200), "is no chip card");
  expect("{\"a\":\"\xff\"}", "is no chip card");
  expect("{\"a\":1e999}", "is no chip card");
  expect(cat("{\"a\":", std::string(100000, '['), std::string(100000, ']'), "}"), "nested deeper");
}

TEST(Signature, KeysOfAnotherKindAreRefusedWithWhatToDo) {
  const auto expect = [](const auto& work, const std::string& says) {
    try {
      work();
      ADD_FAILURE() << "taken; expected: " << says;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find("`openssl "), std::string::npos) << "what to do: " << error.what();
    }
  };
  const auto key = [](const char* pem) { return [pem] { PrivateKey(pem, "key.pem"); }; };
  expect(key(kCurve), "key.pem holds a key of another kind than Ed25519");
  expect(key(kLocked), "behind a passphrase");
  expect(key(kPublic), "holds no private key");
  expect(key(""), "holds no private key");
  expect([] { verified_card(signed_card().dump(), kPrivate, "card.json", "public.pem"); },
         "public.pem holds no public key");
}

}  // namespace
}  // namespace trireme::certify
