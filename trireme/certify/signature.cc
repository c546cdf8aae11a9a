#include "trireme/certify/signature.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "trireme/base/error.h"
#include "trireme/base/strings.h"

namespace trireme::certify {
namespace {

using Json = nlohmann::json;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Digest = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

constexpr size_t kKeyBytes = 32, kSignatureBytes = 64;
// Cards are flat; what is deeper is none, and would take the printer's stack.
constexpr int kDepth = 32;

[[noreturn]] void refuse(const std::string& from, const std::string& why) {
  throw Error(Code::kDataLoss, cat(from, ": ", why));
}

// Throws for a member that is there twice: of two readers each might believe another one.
Json parse(std::string_view text, const std::string& from) {
  std::vector<std::set<std::string>> names;
  const auto look = [&](int depth, Json::parse_event_t event, Json& value) {
    if (depth > kDepth) refuse(from, "is no chip card: it is nested deeper than any card");
    if (event == Json::parse_event_t::object_start) names.emplace_back();
    if (event == Json::parse_event_t::object_end) names.pop_back();
    if (event == Json::parse_event_t::key && !names.back().insert(value.get<std::string>()).second) {
      refuse(from, cat("is no chip card: the member ", value.dump(), " is there twice"));
    }
    return true;
  };
  try {
    Json card = Json::parse(text, look);
    if (!card.is_object()) refuse(from, "is no chip card: it must be one JSON object");
    return card;
  } catch (const Json::exception& failure) {
    refuse(from, cat("is no chip card: ", failure.what()));
  }
}

std::string canonical(Json card) {
  card.erase("signature");
  return card.dump();
}

std::string base64(const unsigned char* bytes, size_t count) {
  std::string out((count + 2) / 3 * 4 + 1, '\0');
  out.resize(static_cast<size_t>(
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes, static_cast<int>(count))));
  return out;
}

// Empty when the text does not stand for so many bytes.
std::vector<unsigned char> bytes_of(const std::string& text, size_t count) {
  std::vector<unsigned char> out(text.size() / 4 * 3 + 3);
  if (text.size() != (count + 2) / 3 * 4 ||
      EVP_DecodeBlock(out.data(), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size())) <
          0) {
    return {};
  }
  out.resize(count);
  // One text for each value: the bits of the last character that stand for nothing are zero.
  return base64(out.data(), count) == text ? out : std::vector<unsigned char>();
}

// A key behind a passphrase is not asked for on the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

Key read_key(std::string_view pem, const std::string& from, bool is_private) {
  if (pem.size() > (1u << 20))
    throw Error(Code::kInvalidArgument, cat(from, " is no key: it has ", pem.size(), " bytes"));
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                      BIO_free);
  TRIREME_CHECK(bio != nullptr, "no memory for a key");
  Key key(is_private ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr)
                     : PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr),
          EVP_PKEY_free);
  ERR_clear_error();
  const std::string make = is_private ? "`openssl genpkey -algorithm ed25519 -out key.pem` makes one"
                                      : "`openssl pkey -in key.pem -pubout -out public.pem` writes it";
  if (!key) {
    throw Error(Code::kInvalidArgument,
                cat(from, " holds no ", is_private ? "private" : "public", " key in PEM that can be read",
                    is_private && pem.find("ENCRYPTED") != std::string_view::npos ? ": it is behind a passphrase" : "",
                    "; ", make));
  }
  if (EVP_PKEY_base_id(key.get()) != EVP_PKEY_ED25519) {
    throw Error(Code::kInvalidArgument, cat(from, " holds a key of another kind than Ed25519; ", make));
  }
  return key;
}

std::string public_half(const EVP_PKEY* key) {
  std::array<unsigned char, kKeyBytes> raw{};
  size_t size = raw.size();
  TRIREME_CHECK(EVP_PKEY_get_raw_public_key(key, raw.data(), &size) == 1 && size == kKeyBytes,
                "an Ed25519 key without its public half");
  return base64(raw.data(), size);
}

Digest new_digest() {
  Digest digest(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  TRIREME_CHECK(digest != nullptr, "no memory for a signature");
  return digest;
}

const unsigned char* raw(const std::string& text) { return reinterpret_cast<const unsigned char*>(text.data()); }

}  // namespace

PrivateKey::PrivateKey(std::string_view pem, const std::string& from) : key_(read_key(pem, from, true).release()) {}
PrivateKey::~PrivateKey() { EVP_PKEY_free(static_cast<EVP_PKEY*>(key_)); }

std::string PrivateKey::sign(std::string_view text) const {
  Json card = parse(text, "the card");
  const std::string signed_bytes = canonical(card);
  auto* key = static_cast<EVP_PKEY*>(key_);
  std::array<unsigned char, kSignatureBytes> signature{};
  size_t size = signature.size();
  const Digest digest = new_digest();
  const bool done = EVP_DigestSignInit(digest.get(), nullptr, nullptr, nullptr, key) == 1 &&
                    EVP_DigestSign(digest.get(), signature.data(), &size, raw(signed_bytes), signed_bytes.size()) == 1;
  ERR_clear_error();
  TRIREME_CHECK(done && size == kSignatureBytes, "the cryptographic library refuses to sign");
  card["signature"] = {{"algorithm", "ed25519"},
                       {"public_key", public_half(key)},
                       {"value", base64(signature.data(), signature.size())}};
  return card.dump();
}

std::string canonical_card(std::string_view card, const std::string& from) { return canonical(parse(card, from)); }

std::string verified_card(std::string_view text, std::string_view public_key_pem, const std::string& card_from,
                          const std::string& key_from) {
  const Key key = read_key(public_key_pem, key_from, false);
  const Json card = parse(text, card_from);
  if (!card.contains("signature")) {
    refuse(card_from,
           "is not signed: it has no member \"signature\"; `trireme certify CHIP --sign key.pem --json` signs");
  }
  const Json& signature = card["signature"];
  const auto member = [&](const char* name) {
    if (!signature.is_object() || !signature.contains(name) || !signature[name].is_string()) {
      refuse(card_from, cat("its signature has no text \"", name, "\""));
    }
    return signature[name].get<std::string>();
  };
  if (signature.is_object() && signature.size() != 3) {
    refuse(card_from, "its signature has other members than algorithm, public_key and value");
  }
  if (member("algorithm") != "ed25519") {
    refuse(card_from, cat("its signature is of the algorithm \"", member("algorithm"), "\"; known is ed25519"));
  }
  if (member("public_key") != public_half(key.get())) {
    refuse(card_from, cat("is signed with another key, ", member("public_key"), ", than the one in ", key_from, ", ",
                          public_half(key.get())));
  }
  const std::vector<unsigned char> value = bytes_of(member("value"), kSignatureBytes);
  const std::string signed_bytes = canonical(card);
  const Digest digest = new_digest();
  const bool holds =
      !value.empty() && EVP_DigestVerifyInit(digest.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
      EVP_DigestVerify(digest.get(), value.data(), value.size(), raw(signed_bytes), signed_bytes.size()) == 1;
  ERR_clear_error();
  if (!holds) refuse(card_from, cat("was altered after it was signed: its signature does not hold under ", key_from));
  return signed_bytes;
}

}  // namespace trireme::certify
