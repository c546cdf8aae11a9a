// cat(...): builds a message from parts without pulling a formatting library into the headers of ops and graphs.
#pragma once

#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trireme {

// Shortest text that reads back as the same double ("0.1", "1e-05", "inf", "nan").
std::string number_text(double value);

inline void append(std::string& out, std::string_view part) { out.append(part); }
inline void append(std::string& out, const char* part) { out.append(part); }
inline void append(std::string& out, const std::string& part) { out.append(part); }
inline void append(std::string& out, char part) { out.push_back(part); }
inline void append(std::string& out, bool part) { out.append(part ? "true" : "false"); }
template <std::integral T>
void append(std::string& out, T part) {
  out.append(std::to_string(part));
}
template <std::floating_point T>
void append(std::string& out, T part) {
  out.append(number_text(part));
}
// Anything else that knows its own text: `std::string text() const`.
template <class T>
  requires requires(const T& t) {
    { t.text() } -> std::convertible_to<std::string>;
  }
void append(std::string& out, const T& part) { out.append(part.text()); }
template <class T>
void append(std::string& out, std::span<const T> parts) {
  out.push_back('[');
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i) out.append(", ");
    append(out, parts[i]);
  }
  out.push_back(']');
}
template <class T>
void append(std::string& out, const std::vector<T>& parts) {
  append(out, std::span<const T>(parts));
}

template <class... Parts>
std::string cat(const Parts&... parts) {
  std::string out;
  (append(out, parts), ...);
  return out;
}

// Joins names with a separator: join({"a", "b"}, ", ").
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);

}  // namespace trireme
