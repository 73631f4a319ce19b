// Model images: what was written is read back; what is damaged, by accident or on purpose, is refused or harmless.
#include <gtest/gtest.h>

#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/classify/predictor.hpp"
#include "core/model/linear_model.hpp"
#include "core/model/view.hpp"
#include "support.hpp"

namespace reyearn {

namespace {

using test::Random;
using Image = std::vector<std::byte>;

std::string word(std::size_t i) { return "w" + std::to_string(i); }

// Features are the words w0, w1, …; one weight in `sparsity` is there.
LinearModel make_model(std::size_t classes, std::size_t features, std::size_t sparsity, std::uint64_t seed = 1) {
  Random random(seed);
  LinearModel model;
  model.algorithm = "naive_bayes";
  for (std::size_t c = 0; c < classes; ++c) {
    model.classes.push_back({static_cast<std::int64_t>(c * 1000000007), "root.class_" + std::to_string(c)});
    model.class_scores.push_back({-static_cast<double>(c) / 3, -10 - static_cast<double>(c) / 7});
  }
  for (std::size_t f = 0; f < features; ++f) {
    model.features.push_back(hash_word(word(f)));
    model.idf.push_back(1 + static_cast<float>(f) / 16);
  }
  model.weights.resize(classes);
  for (std::size_t c = 0; c < classes; ++c) {
    for (std::uint32_t f = 0; f < features; ++f) {
      if (random.one_in(sparsity)) model.weights[c].push_back({f, static_cast<float>(random.below(1000)) / 64});
    }
  }
  return model;
}

LinearModel dense_model() { return make_model(5, 40, 1); }
LinearModel sparse_model() { return make_model(23, 40, 9); }

ErrorCode code_of_opening(const Image& image) {
  return test::error_of([&] { ModelView::open(image); }).code();
}

// The weight of a class for a slot, by whichever layout.
float weight_of(const ModelView& view, const VocabularySlot& slot, std::uint32_t c) {
  if (!view.is_sparse()) return view.dense_row(slot)[c];
  for (const SparseWeight& weight : view.sparse_row(slot)) {
    if (weight.class_index == c) return weight.weight;
  }
  return 0;
}

void expect_equal(const ModelView& view, const LinearModel& model) {
  ASSERT_EQ(view.class_count(), model.classes.size());
  ASSERT_EQ(view.feature_count(), model.features.size());
  EXPECT_EQ(view.algorithm(), model.algorithm);
  EXPECT_EQ(view.icu_version(), icu_version());
  EXPECT_EQ(view.text_options(), model.text);
  std::vector<std::vector<float>> weights(model.classes.size(), std::vector<float>(model.features.size()));
  for (std::uint32_t c = 0; c < view.class_count(); ++c) {
    EXPECT_EQ(view.class_id(c), model.classes[c].id);
    EXPECT_EQ(view.label(c), model.classes[c].label);
    EXPECT_EQ(view.class_scores()[c].prior, model.class_scores[c].prior);
    EXPECT_EQ(view.class_scores()[c].absent, model.class_scores[c].absent);
    for (const LinearModel::Weight& weight : model.weights[c]) weights[c][weight.feature] = weight.weight;
  }
  for (std::size_t f = 0; f < model.features.size(); ++f) {
    const VocabularySlot* slot = view.find(model.features[f]);
    ASSERT_NE(slot, nullptr) << f;
    EXPECT_EQ(slot->hash, model.features[f]);
    EXPECT_EQ(slot->idf, model.idf[f]);
    for (std::uint32_t c = 0; c < view.class_count(); ++c) EXPECT_EQ(weight_of(view, *slot, c), weights[c][f]);
  }
  for (std::size_t f = 0; f < 1000; ++f) EXPECT_EQ(view.find(hash_word("unknown" + std::to_string(f))), nullptr);
}

// ---- writing and reading

TEST(ModelImage, ReadsBackADenseModel) {
  const LinearModel model = dense_model();
  const Image image = model.to_image();
  const ModelView view = ModelView::open(image);
  EXPECT_FALSE(view.is_sparse());
  EXPECT_EQ(view.bytes(), image.size());
  expect_equal(view, model);
}

TEST(ModelImage, ReadsBackASparseModel) {
  const LinearModel model = sparse_model();
  const Image image = model.to_image();
  const ModelView view = ModelView::open(image);
  EXPECT_TRUE(view.is_sparse());
  expect_equal(view, model);
}

TEST(ModelImage, ReadsBackModelsOfManyShapes) {
  for (const std::size_t classes : {1, 2, 3, 16, 17, 200}) {
    for (const std::size_t features : {0, 1, 2, 3, 64, 1000}) {
      for (const std::size_t sparsity : {1, 3, 5, 1000}) {
        const LinearModel model = make_model(classes, features, sparsity);
        const Image image = model.to_image();
        expect_equal(ModelView::open(image), model);
      }
    }
  }
}

TEST(ModelImage, OpensCheckedBytesAlike) {
  for (const LinearModel& model : {dense_model(), sparse_model()}) {
    const Image image = model.to_image();
    expect_equal(ModelView::open_checked(image), model);
  }
}

TEST(ModelImage, ReadsOnlyHeadAndTableOfCheckedBytes) {
  Image image = dense_model().to_image();
  image.back() ^= std::byte{1};
  EXPECT_EQ(code_of_opening(image), ErrorCode::kCorruptModel);
  EXPECT_NO_THROW(ModelView::open_checked(image));
  image.pop_back();
  EXPECT_EQ(test::error_of([&] { ModelView::open_checked(image); }).code(), ErrorCode::kCorruptModel);
  EXPECT_EQ(test::error_of([&] { ModelView::open_checked({}); }).code(), ErrorCode::kCorruptModel);
}

TEST(ModelImage, TakesLabelsOfEveryLength) {
  LinearModel model = make_model(3, 3, 1);
  model.classes[0].label = "a";
  model.classes[1].label = std::string(255, 'x') + "." + std::string(255, 'y') + "." + std::string(255, 'z');
  model.classes[2].label = "_.0";
  model.classes[2].id = INT64_MIN;
  const Image image = model.to_image();
  expect_equal(ModelView::open(image), model);
}

TEST(ModelImage, CutsAnOverlongNameOfAnAlgorithm) {
  LinearModel model = make_model(2, 3, 1);
  model.algorithm = std::string(100, 'a');
  const Image image = model.to_image();
  EXPECT_EQ(ModelView::open(image).algorithm(), std::string(31, 'a'));
}

TEST(ModelImage, KeepsTheTextOptions) {
  LinearModel model = make_model(2, 3, 1);
  model.text = {2, 5};
  const Image image = model.to_image();
  EXPECT_EQ(ModelView::open(image).text_options(), (TextOptions{2, 5}));
}

TEST(ModelImage, FindsFeaturesWhoseHashesMeetInOnePlace) {
  LinearModel model = make_model(2, 40, 1);
  // Half of them at the very end of the table, so that the search goes on at its beginning.
  for (std::size_t f = 0; f < model.features.size(); ++f) {
    model.features[f] = f % 2 == 0 ? f : UINT64_MAX - f;
  }
  const Image image = model.to_image();
  const ModelView view = ModelView::open(image);
  for (const FeatureHash hash : model.features) ASSERT_NE(view.find(hash), nullptr) << hash;
  EXPECT_EQ(view.find(1000), nullptr);
  EXPECT_EQ(view.find(UINT64_MAX - 1000), nullptr);
}

TEST(ModelImage, IsTheSameForTheSameModel) {
  EXPECT_EQ(dense_model().to_image(), dense_model().to_image());
  EXPECT_EQ(sparse_model().to_image(), sparse_model().to_image());
}

TEST(ModelImage, DoesNotDependOnTheOrderOfItsFeatures) {
  LinearModel model = make_model(2, 40, 1);
  LinearModel reversed = model;
  std::reverse(reversed.features.begin(), reversed.features.end());
  std::reverse(reversed.idf.begin(), reversed.idf.end());
  const Image a = model.to_image();
  const Image b = reversed.to_image();
  const ModelView one = ModelView::open(a);
  const ModelView other = ModelView::open(b);
  for (std::size_t i = 0; i < one.slots().size(); ++i) EXPECT_EQ(one.slots()[i].hash, other.slots()[i].hash);
}

// ---- changing bytes

template <typename Field>
Field read_at(const Image& image, std::size_t at) {
  Field field;
  std::memcpy(&field, image.data() + at, sizeof field);
  return field;
}

template <typename Field>
void write_at(Image& image, std::size_t at, const Field& field) {
  if (at <= image.size() && sizeof field <= image.size() - at) std::memcpy(image.data() + at, &field, sizeof field);
}

constexpr std::size_t kBehindChecksum = offsetof(ImageHeader, checksum) + sizeof(ImageHeader::checksum);

// Makes the checksum right again, as somebody would who means harm.
Image sealed(Image image) {
  write_at(image, offsetof(ImageHeader, checksum),
           XXH3_64bits(image.data() + kBehindChecksum, image.size() - kBehindChecksum));
  return image;
}

std::size_t entry_at(SectionKind kind) {
  return sizeof(ImageHeader) + (static_cast<std::size_t>(kind) - 1) * sizeof(SectionEntry);
}

SectionEntry entry_of(const Image& image, SectionKind kind) { return read_at<SectionEntry>(image, entry_at(kind)); }

// A change of the format makes every stored model useless: it needs a new format version.
TEST(ModelImage, HasAFormatThatNeverChanges) {
  const auto checksum = [](const LinearModel& model) {
    Image image = model.to_image();
    char version[16] = "72.1";  // of ICU, which differs from machine to machine
    std::memcpy(image.data() + offsetof(ImageHeader, icu_version), version, sizeof version);
    image = sealed(image);
    EXPECT_NO_THROW(ModelView::open(image));
    return read_at<ImageHeader>(image, 0).checksum;
  };
  LinearModel model;
  model.algorithm = "naive_bayes";
  model.text = {1, 2};
  model.classes = {{7, "email.private"}, {-3, "email.work"}, {1000000000000, "email.work.trips"}};
  model.class_scores = {{-0.5, -8}, {-1.25, -9.5}, {-2, -7.75}};
  for (const char* text : {"hello", "meeting", "flight", "a_word_of_more_than_sixteen_bytes"}) {
    model.features.push_back(hash_word(text));
    model.idf.push_back(1 + static_cast<float>(model.idf.size()) / 2);
  }
  model.weights = {{{0, 1.5F}, {2, 0.25F}}, {{1, 2.0F}}, {{0, 0.125F}, {1, 3.0F}, {2, 4.0F}, {3, 0.5F}}};
  EXPECT_EQ(checksum(model), 0x9FFFFF2B7CA45B1BU);
  model.weights = {{{0, 1.5F}}, {{3, 2.0F}}, {}};
  model.classes[2].label = "email.trips";
  EXPECT_EQ(checksum(model), 0x9B90FB3BDC208A54U);
}

TEST(ModelImage, RefusesEveryChangedBit) {
  for (const LinearModel& model : {make_model(3, 4, 1), make_model(6, 4, 8)}) {
    const Image image = model.to_image();
    Image changed = image;
    for (std::size_t at = 0; at < image.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        changed[at] ^= std::byte{1} << bit;
        const ErrorCode code = code_of_opening(changed);
        ASSERT_TRUE(code == ErrorCode::kCorruptModel || code == ErrorCode::kNewerModel) << at;
        changed[at] = image[at];
      }
    }
    EXPECT_NO_THROW(ModelView::open(changed));
  }
}

TEST(ModelImage, RefusesEveryTruncationAndAnythingBehindIt) {
  for (const LinearModel& model : {make_model(3, 4, 1), make_model(6, 4, 8)}) {
    const Image image = model.to_image();
    for (std::size_t size = 0; size < image.size(); ++size) {
      Image part(image.begin(), image.begin() + static_cast<std::ptrdiff_t>(size));
      ASSERT_EQ(code_of_opening(part), ErrorCode::kCorruptModel) << size;
      if (size < sizeof(ImageHeader)) continue;
      part = sealed(std::move(part));
      ASSERT_EQ(code_of_opening(part), ErrorCode::kCorruptModel) << size;
      write_at(part, offsetof(ImageHeader, total_bytes), std::uint64_t{size});
      // Consistent, but for the sections: only a cut through the padding at the end may do no harm.
      part = sealed(std::move(part));
      try {
        ModelView::open(part);
        const SectionEntry last = entry_of(image, SectionKind::kWeights);
        ASSERT_GE(size, last.offset + last.bytes);
      } catch (const Error& e) {
        ASSERT_EQ(e.code(), ErrorCode::kCorruptModel);
      }
    }
    Image longer = image;
    longer.push_back(std::byte{0});
    EXPECT_EQ(code_of_opening(longer), ErrorCode::kCorruptModel);
    EXPECT_EQ(code_of_opening(sealed(longer)), ErrorCode::kCorruptModel);
  }
}

TEST(ModelImage, RefusesWhatIsNotAModel) {
  EXPECT_EQ(code_of_opening({}), ErrorCode::kCorruptModel);
  EXPECT_EQ(code_of_opening(Image(1)), ErrorCode::kCorruptModel);
  EXPECT_EQ(code_of_opening(Image(5000)), ErrorCode::kCorruptModel);
  Random random(1);
  Image noise(5000);
  for (std::byte& byte : noise) byte = static_cast<std::byte>(random.next());
  EXPECT_EQ(code_of_opening(noise), ErrorCode::kCorruptModel);
}

TEST(ModelImage, RefusesBytesThatAreNotAligned) {
  const Image image = dense_model().to_image();
  Image memory(image.size() + 8);
  for (std::size_t shift = 1; shift < 8; ++shift) {
    std::memcpy(memory.data() + shift, image.data(), image.size());
    const Error error = test::error_of([&] { ModelView::open(std::span(memory).subspan(shift, image.size())); });
    EXPECT_EQ(error.code(), ErrorCode::kCorruptModel);
  }
}

TEST(ModelImage, OfANewerFormatIsRefusedAsSuch) {
  for (const std::uint32_t format : {kImageFormat + 1, 1000u, UINT32_MAX}) {
    Image image = dense_model().to_image();
    write_at(image, offsetof(ImageHeader, format), format);
    const Error error = test::error_of([&] { ModelView::open(image); });  // whatever its checksum covers
    EXPECT_EQ(error.code(), ErrorCode::kNewerModel);
    EXPECT_EQ(error.detail(), "Its format is " + std::to_string(format) + "; this library reads up to 1.");
    EXPECT_FALSE(error.hint().empty());
  }
  Image image = dense_model().to_image();
  write_at(image, offsetof(ImageHeader, format), std::uint32_t{0});
  EXPECT_EQ(code_of_opening(image), ErrorCode::kCorruptModel);
}

// ---- hostile images: the checksum is right, the rest need not be

// Touches everything that a reader can reach; the address sanitizer watches.
void use(const ModelView& view) {
  std::uint64_t sum = view.algorithm().size() + view.icu_version().size() + view.checksum();
  for (std::uint32_t c = 0; c < view.class_count(); ++c) {
    sum += static_cast<std::uint64_t>(view.class_id(c));
    for (const char character : view.label(c)) sum += static_cast<unsigned char>(character);
  }
  for (const VocabularySlot& slot : view.slots()) {
    if (slot.idf == 0) continue;
    for (std::uint32_t c = 0; c < view.class_count(); ++c) {
      sum += std::bit_cast<std::uint32_t>(weight_of(view, slot, c)) + (view.find(slot.hash) != nullptr ? 1u : 0u);
    }
  }
  Predictor predictor(view);
  std::string text;
  for (std::size_t i = 0; i < 60; ++i) text += word(i) + " ";
  for (const std::string_view one :
       {std::string_view(text), std::string_view("w1 w1 w2 é1 北京"), std::string_view()}) {
    const std::span<const double> scores = predictor.scores(one);
    ASSERT_EQ(scores.size(), view.class_count());
    ASSERT_LT(best_class(scores), view.class_count());
    std::vector<double> probabilities(scores.begin(), scores.end());
    softmax(probabilities);
  }
  EXPECT_NE(sum, UINT64_MAX);
}

// Values at the borders of what the checks compare.
std::uint64_t interesting(Random& random, const Image& image) {
  const std::uint64_t size = image.size();
  const std::uint64_t values[] = {0,
                                  1,
                                  2,
                                  3,
                                  7,
                                  8,
                                  63,
                                  64,
                                  128,
                                  size - 1,
                                  size,
                                  size + 1,
                                  size - size % 64,
                                  size / 2 / 64 * 64,
                                  INT32_MAX,
                                  std::uint64_t{INT32_MAX} + 1,
                                  UINT32_MAX - 1,
                                  UINT32_MAX,
                                  std::uint64_t{UINT32_MAX} + 1,
                                  INT64_MAX,
                                  std::uint64_t{INT64_MAX} + 1,
                                  UINT64_MAX - 63,
                                  UINT64_MAX - 15,
                                  UINT64_MAX,
                                  random.next(),
                                  random.below(300),
                                  random.below(image.size()),
                                  random.below(image.size()) / 64 * 64};
  return random.pick(values);
}

float interesting_float(Random& random) {
  using Limits = std::numeric_limits<float>;
  const float values[] = {0.0F,
                          -0.0F,
                          1.0F,
                          -1.0F,
                          Limits::quiet_NaN(),
                          Limits::infinity(),
                          Limits::denorm_min(),
                          Limits::max(),
                          Limits::lowest(),
                          1e-30F};
  return random.pick(values);
}

constexpr SectionKind kKinds[] = {SectionKind::kClassIds,    SectionKind::kLabelOffsets, SectionKind::kLabels,
                                  SectionKind::kClassScores, SectionKind::kVocabulary,   SectionKind::kWeights};

// Gives the image another number of classes, with sections of the right sizes: deeper checks must find the rest.
void resize_classes(Image& image, std::uint32_t classes) {
  write_at(image, offsetof(ImageHeader, class_count), classes);
  const auto resize = [&](SectionKind kind, std::uint64_t bytes) {
    SectionEntry entry = entry_of(image, kind);
    entry.bytes = bytes;
    write_at(image, entry_at(kind), entry);
  };
  resize(SectionKind::kClassIds, std::uint64_t{classes} * sizeof(std::int64_t));
  resize(SectionKind::kLabelOffsets, (std::uint64_t{classes} + 1) * sizeof(std::uint32_t));
  resize(SectionKind::kClassScores, std::uint64_t{classes} * sizeof(ClassScore));
}

void mutate(Image& image, Random& random) {
  // A place in a section, as the image itself says where it is.
  const auto place_in = [&](SectionKind kind, std::size_t element_bytes) {
    const SectionEntry entry = entry_of(image, kind);
    const std::uint64_t elements = std::min<std::uint64_t>(entry.bytes, image.size()) / element_bytes;
    return elements == 0 ? image.size() : entry.offset + random.below(elements) * element_bytes;
  };
  switch (random.below(11)) {
    case 0:
      image[random.between(kBehindChecksum, image.size() - 1)] = static_cast<std::byte>(random.next());
      break;
    case 1:
      write_at(image, random.between(kBehindChecksum, image.size() - 1) / 4 * 4,
               static_cast<std::uint32_t>(interesting(random, image)));
      break;
    case 2: {
      constexpr std::size_t kFields[] = {offsetof(ImageHeader, class_count), offsetof(ImageHeader, min_ngram),
                                         offsetof(ImageHeader, max_ngram), offsetof(ImageHeader, is_sparse),
                                         offsetof(ImageHeader, section_count)};
      write_at(image, random.pick(kFields), static_cast<std::uint32_t>(interesting(random, image)));
      break;
    }
    case 3: {
      constexpr std::size_t kFields[] = {offsetof(ImageHeader, feature_count), offsetof(ImageHeader, total_bytes)};
      write_at(image, random.pick(kFields), interesting(random, image));
      break;
    }
    case 4: {
      SectionEntry entry = entry_of(image, random.pick(kKinds));
      const SectionKind kind = random.pick(kKinds);
      entry.kind = static_cast<std::uint32_t>(kind);
      entry.element_bytes = entry_of(image, kind).element_bytes;
      if (random.one_in(2)) entry.bytes = entry_of(image, kind).bytes;
      write_at(image, entry_at(kind), entry);  // another section's place
      break;
    }
    case 5: {
      const std::size_t at = entry_at(random.pick(kKinds));
      if (random.one_in(8)) {
        write_at(image, at + 4 * random.below(2), static_cast<std::uint32_t>(interesting(random, image)));
      } else {
        write_at(image, at + 8 + 8 * random.below(2), interesting(random, image));
      }
      break;
    }
    case 6:
      resize_classes(image,
                     static_cast<std::uint32_t>(random.one_in(2) ? random.between(1, 40) : interesting(random, image)));
      break;
    case 7: {
      const std::size_t at = place_in(SectionKind::kVocabulary, sizeof(VocabularySlot));
      switch (random.below(3)) {
        case 0:
          write_at(image, at + offsetof(VocabularySlot, hash), interesting(random, image));
          break;
        case 1:
          write_at(image, at + offsetof(VocabularySlot, idf), interesting_float(random));
          break;
        case 2:
          write_at(image, at + offsetof(VocabularySlot, row), static_cast<std::uint32_t>(interesting(random, image)));
          break;
      }
      break;
    }
    case 8:
      write_at(image, place_in(SectionKind::kWeights, 4), static_cast<std::uint32_t>(interesting(random, image)));
      break;
    case 9:
      write_at(image, place_in(SectionKind::kLabelOffsets, 4), static_cast<std::uint32_t>(interesting(random, image)));
      break;
    case 10: {
      const std::size_t size = std::max(kBehindChecksum + 1, image.size() + random.below(200) - 100);
      image.resize(size);
      write_at(image, offsetof(ImageHeader, total_bytes), std::uint64_t{size});
      break;
    }
  }
}

void attack(const LinearModel& model, std::uint64_t seed, int rounds) {
  const Image image = model.to_image();
  Random random(seed);
  int survived = 0;
  for (int round = 0; round < rounds; ++round) {
    Image hostile = image;
    for (std::size_t n = random.between(1, 3); n > 0; --n) mutate(hostile, random);
    hostile = sealed(std::move(hostile));
    hostile.shrink_to_fit();
    try {
      const ModelView view = ModelView::open(hostile);
      use(view);
      ++survived;
      std::vector<ModelClass> classes(view.class_count(), ModelClass{1, "x"});
      const Image other = with_classes(hostile, classes);
      use(ModelView::open(other));
    } catch (const Error& e) {
      ASSERT_TRUE(e.code() == ErrorCode::kCorruptModel || e.code() == ErrorCode::kNewerModel) << e.what();
    }
  }
  // Neither all nor none, or the test would show nothing.
  EXPECT_GT(survived, rounds / 50);
  EXPECT_LT(survived, rounds);
}

TEST(HostileImage, IsRefusedOrHarmlessWhenDense) { attack(make_model(5, 40, 1), 1, 20000); }
TEST(HostileImage, IsRefusedOrHarmlessWhenSparse) { attack(make_model(23, 40, 9), 2, 20000); }
TEST(HostileImage, IsRefusedOrHarmlessWithNgrams) {
  LinearModel model = make_model(3, 20, 1);
  model.text = {1, 5};
  attack(model, 3, 10000);
}
TEST(HostileImage, IsRefusedOrHarmlessWithoutFeatures) { attack(make_model(2, 0, 1), 4, 5000); }

// All slots name one long row: each byte of the image would be checked thousands of times.
TEST(HostileImage, WithRowsThatOverlapIsRefusedAtOnce) {
  LinearModel model = make_model(2, 30000, 1);
  model.weights.assign(20, {});
  model.classes.resize(20, {1, "x"});
  model.class_scores.resize(20);
  model.weights[0].push_back({0, 1.0F});
  Image image = model.to_image();
  ASSERT_TRUE(ModelView::open(image).is_sparse());
  const SectionEntry weights = entry_of(image, SectionKind::kWeights);
  std::memset(image.data() + weights.offset, 0, weights.bytes);
  write_at(image, weights.offset, static_cast<std::uint32_t>((weights.bytes / 4 - 1) / 2));
  const SectionEntry slots = entry_of(image, SectionKind::kVocabulary);
  for (std::size_t at = slots.offset; at < slots.offset + slots.bytes; at += sizeof(VocabularySlot)) {
    write_at(image, at + offsetof(VocabularySlot, row), std::uint32_t{0});
  }
  image = sealed(std::move(image));
  EXPECT_EQ(code_of_opening(image), ErrorCode::kCorruptModel);
}

TEST(HostileImage, WithAFullVocabularyIsRefused) {
  Image image = make_model(2, 2, 1).to_image();
  const SectionEntry slots = entry_of(image, SectionKind::kVocabulary);
  for (std::size_t at = slots.offset; at < slots.offset + slots.bytes; at += sizeof(VocabularySlot)) {
    write_at(image, at, VocabularySlot{at, 1.0F, 0});
  }
  write_at(image, offsetof(ImageHeader, feature_count), slots.bytes / sizeof(VocabularySlot));
  EXPECT_EQ(code_of_opening(sealed(image)), ErrorCode::kCorruptModel);
}

TEST(HostileImage, WithLabelsThatAreNoneIsRefused) {
  for (const char* label : {"", "a b", "a..b", "é", "\xFF", "'; DROP TABLE"}) {
    LinearModel model = make_model(3, 3, 1);
    model.classes[1].label = label;
    EXPECT_EQ(code_of_opening(model.to_image()), ErrorCode::kCorruptModel) << label;
  }
}

TEST(HostileImage, WithoutClassesIsRefused) {
  LinearModel model = make_model(0, 3, 1);
  EXPECT_EQ(code_of_opening(model.to_image()), ErrorCode::kCorruptModel);
}

TEST(HostileImage, WithScoresThatAreNotNumbersIsRefused) {
  for (const double value : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    for (const std::size_t field : {offsetof(ClassScore, prior), offsetof(ClassScore, absent)}) {
      Image image = dense_model().to_image();
      write_at(image, entry_of(image, SectionKind::kClassScores).offset + field, value);
      EXPECT_EQ(code_of_opening(sealed(image)), ErrorCode::kCorruptModel);
    }
  }
}

// ---- other class ids

TEST(WithClasses, ChangesNothingButIdsAndLabels) {
  for (const LinearModel& model : {dense_model(), sparse_model()}) {
    const Image image = model.to_image();
    LinearModel renamed = model;
    for (std::size_t c = 0; c < renamed.classes.size(); ++c) {
      renamed.classes[c] = {static_cast<std::int64_t>(900 + c), std::string(1 + c * 10, 'l')};
    }
    const Image other = with_classes(image, renamed.classes);
    expect_equal(ModelView::open(other), renamed);
    EXPECT_EQ(other, renamed.to_image());
    EXPECT_EQ(with_classes(other, model.classes), image);
  }
}

TEST(WithClasses, RefusesAnotherNumberOfClasses) {
  const Image image = dense_model().to_image();
  EXPECT_EQ(test::error_of([&] { with_classes(image, {{1, "x"}}); }).code(), ErrorCode::kInternal);
}

TEST(WithClasses, RefusesADamagedImage) {
  Image image = dense_model().to_image();
  image[200] ^= std::byte{1};
  EXPECT_EQ(test::error_of([&] { with_classes(image, {}); }).code(), ErrorCode::kCorruptModel);
}

}  // namespace

}  // namespace reyearn
