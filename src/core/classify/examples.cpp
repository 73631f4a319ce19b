#include "core/classify/examples.hpp"

#include <algorithm>
#include <span>
#include <tuple>

#include "core/label.hpp"

namespace reyearn {

namespace {

bool is_at_or_below(std::string_view label, std::string_view root) {
  return label.starts_with(root) && (label.size() == root.size() || label[root.size()] == '.');
}

// The confirmation of one text that counts; they are given newest first.
const Confirmation& decisive(std::span<const Confirmation> of_text, const std::vector<ModelClass>& classes) {
  const Confirmation* best = &of_text[0];
  const std::string& newest = classes[best->label].label;
  for (const Confirmation& other : of_text.subspan(1)) {
    const std::string& label = classes[other.label].label;
    const auto levels = [](const std::string& path) { return std::count(path.begin(), path.end(), '.'); };
    if (is_at_or_below(label, newest) && levels(label) > levels(classes[best->label].label)) best = &other;
  }
  return *best;
}

// Leaves out classes without example, and renumbers the labels.
void keep_used_classes(TrainingRequest& request, const std::vector<ModelClass>& classes) {
  std::vector<std::uint32_t> new_number(classes.size(), kNoLabel);
  for (const Example& example : request.examples) new_number[example.label] = 0;
  request.classes.clear();
  for (std::size_t c = 0; c < classes.size(); ++c) {
    if (new_number[c] == kNoLabel) continue;
    new_number[c] = static_cast<std::uint32_t>(request.classes.size());
    request.classes.push_back(classes[c]);
  }
  for (Example& example : request.examples) example.label = new_number[example.label];
}

}  // namespace

void set_examples(TrainingRequest& request, std::vector<Confirmation>& confirmations,
                  const std::vector<ModelClass>& classes) {
  std::sort(confirmations.begin(), confirmations.end(), [](const Confirmation& a, const Confirmation& b) {
    return std::tie(a.observation_id, b.time, b.annotation_id) < std::tie(b.observation_id, a.time, a.annotation_id);
  });
  request.examples.clear();
  for (std::size_t begin = 0; begin < confirmations.size();) {
    std::size_t end = begin + 1;
    while (end < confirmations.size() && confirmations[end].observation_id == confirmations[begin].observation_id)
      ++end;
    const Confirmation& one = decisive(std::span(confirmations).subspan(begin, end - begin), classes);
    request.examples.push_back({one.content_hash, one.observation_id, one.label});
    begin = end;
  }
  std::sort(request.examples.begin(), request.examples.end(),
            [](const Example& a, const Example& b) { return a.content_hash < b.content_hash; });
  keep_used_classes(request, classes);
}

std::vector<std::string> types_of(const std::vector<ModelClass>& classes) {
  std::vector<std::string> types;
  for (const ModelClass& one : classes) types.emplace_back(label_prefix(one.label, 1));
  std::sort(types.begin(), types.end());
  types.erase(std::unique(types.begin(), types.end()), types.end());
  return types;
}

}  // namespace reyearn
