// The second half of planning: regions in order become commands. Views turn into offsets and strides, values cross
// between devices, operands a kernel refuses as they lie are copied into the layout it wants, events order the lanes,
// and every value gets its memory.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "trireme/ir/view.h"
#include "trireme/runtime/offer.h"
#include "trireme/runtime/planner.h"

namespace trireme::runtime {

class Lowering {
 public:
  Lowering(const Graph& graph, const PlanOptions& options, const Assignment& assignment);
  std::shared_ptr<Plan> make();

 private:
  struct Location {
    int storage = -1;
    View view;  // offset and strides in elements of the value's type
  };
  struct Key {
    const Node* node;
    uint32_t index;
    bool operator<(const Key& o) const { return node != o.node ? node < o.node : index < o.index; }
  };
  static Key key(const Value& v) { return {&v.node(), v.index()}; }

  // Values.
  Location locate(const Value& value, Device& device);
  Device& home(const Value& value);
  Location transfer(const Value& value, const Location& from, Device& source, Device& target);
  Location densified(Device& device, const Location& from, DType dtype, const Strides& strides, const std::string& why);
  Location upload_constant(const Value& value, Device& device);
  bool addressable(const Device& device, const Location& location) const;

  // Regions.
  void lower(const Region& region, const RegionGraph& parts);
  bool lower_kernel(const Region& region, const RegionGraph& parts);
  void lower_assembly(const Region& region);
  void lower_control(const Region& region);
  RegionGraph whole_graph() const;
  void count_uses(const std::vector<Region>& regions, const std::vector<RegionGraph>& parts);
  int storage_in_place(const Value& argument, const Location& location, const Value& result);
  void finish_outputs();

  // Commands.
  int new_storage(Device& device, uint64_t bytes, const std::string& maker);
  Plan::Step& emit(Plan::StepKind kind, Device& device, Lane lane, std::vector<Plan::Operand> operands,
                   const std::vector<int>& reads, const std::vector<int>& writes, const std::string& text);
  void emit_strided(Device& device, const Location& to, const Location& from, DType dtype, const std::string& text);
  void order_after(Device& device, Lane lane, const std::vector<int>& reads, const std::vector<int>& writes);
  Plan::Operand operand(const Location& location, DType dtype) const;
  std::shared_ptr<Kernel> prepare(Device& device, const ProgramRef& program);
  void join_lanes();
  void assign_memory();
  void row(const Region& region, Device& device, double ns, const std::string& reason);

  const PlanOptions& options_;
  const Assignment& assignment_;
  Device& host_;
  std::shared_ptr<Plan> plan_;
  std::shared_ptr<StepTexts> texts_;
  std::map<Key, std::map<Device*, Location>> locations_;
  std::map<Key, Device*> produced_on_;
  std::map<Key, int> last_use_;      // index of the last region that reads a value, through views
  std::map<Key, int> successor_of_;  // graph outputs that replace a donated input: its index
  int region_ = 0;
  double region_copy_ns_ = 0.0;

  // Ordering between asynchronous queues: who touched a storage last, and how far each queue has been waited for.
  struct Queue {
    Device* device;
    Lane lane;
    bool operator<(const Queue& o) const { return device != o.device ? device < o.device : lane < o.lane; }
  };
  struct Touch {
    Queue queue;
    int step;
  };
  struct History {
    std::optional<Touch> writer;
    std::vector<Touch> readers;
  };
  std::map<int, History> history_;
  std::map<std::pair<Queue, Queue>, int> waited_;  // (waiter, queue) -> last step waited for
  std::map<Queue, int> host_waited_;
  std::map<Queue, int> last_step_;
  bool uses_copy_lane_ = false;
};

}  // namespace trireme::runtime
