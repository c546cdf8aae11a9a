// The signature of a chip card: Ed25519 (RFC 8032) over the card's canonical form, so that a card that was altered is
// noticed and whoever issued it is known. Guide: docs/guide/certify-a-chip.md, "A signed card".
//
// The canonical form is the card without its member "signature" as JSON in UTF-8: members sorted by the bytes of their
// names, nothing between tokens, the shortest decimals that read back as the same double. Spaces, line ends and the
// order of members may therefore change on the way; a value may not.
#pragma once

#include <string>
#include <string_view>

namespace trireme::certify {

// An Ed25519 key in PEM, as `openssl genpkey -algorithm ed25519` writes it. `from` names the file in messages. Throws
// kInvalidArgument for a key of another kind, one behind a passphrase, and what is no key.
class PrivateKey {
 public:
  PrivateKey(std::string_view pem, const std::string& from);
  ~PrivateKey();
  PrivateKey(const PrivateKey&) = delete;
  PrivateKey& operator=(const PrivateKey&) = delete;
  // The card, one JSON object, with the member "signature".
  std::string sign(std::string_view card) const;

 private:
  void* key_;
};

// A card whose signature was made with the private half of `public_key_pem`, without it. Throws kDataLoss when it is
// not: no signature, another key's, an altered card, no JSON object, a member twice; kInvalidArgument for a key that is
// none. `card_from` and `key_from` name the files in messages.
std::string verified_card(std::string_view card, std::string_view public_key_pem, const std::string& card_from,
                          const std::string& key_from);

// The bytes that are signed. Throws kDataLoss as above.
std::string canonical_card(std::string_view card, const std::string& from);

}  // namespace trireme::certify
