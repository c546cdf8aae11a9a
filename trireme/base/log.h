// Lines for the person at the terminal, on standard error. TRIREME_LOG picks the least level shown: debug, info (the
// default), warn, error or off. Safe from any thread; a live progress line is cleared first and drawn again later.
#pragma once

#include <string>

namespace trireme {

void log_debug(const std::string& message);
void log_info(const std::string& message);
void log_warn(const std::string& message);
void log_error(const std::string& message);

}  // namespace trireme
