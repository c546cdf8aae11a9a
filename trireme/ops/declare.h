// What an op's file includes: the declaration's types, the functions of all ops, and arithmetic on Values.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "trireme/ir/op_decl.h"
#include "trireme/ops/ops.h"
#include "trireme/ops/rules.h"
#include "trireme/ops/value.h"
