#include "trireme/certify/certificate.h"
namespace trireme::certify {
std::string page_html(const Certificate&) { return {}; }
}
