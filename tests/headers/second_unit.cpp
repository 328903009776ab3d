#include "make_report.hpp"

two_units::report two_units::second() { return make_report(); }
