#include <fmt/format.h>
#include <sqlite3.h>

#include <functional>
#include <memory>

#include "cmsim/base/error.hpp"
#include "cmsim/base/input_file.hpp"
#include "cmsim/study/database.hpp"

namespace cmsim::study {
namespace {

/// The row that a query is at.
class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  std::string text(int column) const {
    const auto* bytes = sqlite3_column_text(statement_, column);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
    return bytes == nullptr ? "" : std::string(reinterpret_cast<const char*>(bytes), size);
  }
  std::int64_t whole(int column) const { return sqlite3_column_int64(statement_, column); }
  bool is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

 private:
  sqlite3_stmt* statement_;
};

class Reader {
 public:
  explicit Reader(const std::filesystem::path& file) : file_(file) {
    InputFile present(file);  // says what is wrong with it better than SQLite does
    sqlite3* handle = nullptr;
    const int code = sqlite3_open_v2(file.c_str(), &handle, SQLITE_OPEN_READONLY, nullptr);
    handle_.reset(handle);
    require(code);
  }

  void each(const char* sql, const std::function<void(const Row&)>& take) const {
    sqlite3_stmt* raw = nullptr;
    require(sqlite3_prepare_v2(handle_.get(), sql, -1, &raw, nullptr));
    const std::unique_ptr<sqlite3_stmt, Finalize> statement(raw);
    int code = 0;
    while ((code = sqlite3_step(raw)) == SQLITE_ROW) take(Row(raw));
    require(code);
  }

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close(handle); }
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };

  void require(int code) const {
    if (code == SQLITE_OK || code == SQLITE_DONE) return;
    throw ConfigError({file_.string(), 0, ""},
                      fmt::format("no database of a study, as `cmsim sweep` writes it: {}",
                                  sqlite3_errmsg(handle_.get())));
  }

  std::filesystem::path file_;
  std::unique_ptr<sqlite3, Close> handle_;
};

void read_facts(const Reader& reader, RecordedStudy& study) {
  reader.each("SELECT key, value FROM study", [&](const Row& row) {
    const std::string key = row.text(0);
    if (key == "version") study.version = row.text(1);
    if (key == "command") study.command = row.text(1);
    if (key == "scenario") study.scenario = row.text(1);
  });
}

void read_points(const Reader& reader, RecordedStudy& study) {
  reader.each(
      "SELECT number, cell, seed, state, error, command, result FROM points ORDER BY number",
      [&](const Row& row) {
        RecordedPoint& point = study.points.emplace_back();
        point.number = row.whole(0);
        point.cell = row.whole(1);
        if (!row.is_null(2)) point.seed = row.whole(2);
        point.state = row.text(3);
        point.error = row.text(4);
        point.command = row.text(5);
        point.result = row.text(6);
      });
}

void read_params(const Reader& reader, RecordedStudy& study) {
  auto at = study.points.begin();
  reader.each("SELECT number, name, setting FROM params ORDER BY number, name",
              [&](const Row& row) {
                while (at != study.points.end() && at->number < row.whole(0)) ++at;
                if (at == study.points.end() || at->number != row.whole(0)) return;
                at->params.emplace_back(row.text(1), row.text(2));
              });
}

}  // namespace

RecordedStudy read_database(const std::filesystem::path& file) {
  const Reader reader(file);
  RecordedStudy study;
  read_facts(reader, study);
  read_points(reader, study);
  read_params(reader, study);
  reader.each("SELECT DISTINCT metric FROM \"values\" ORDER BY metric",
              [&](const Row& row) { study.metrics.push_back(row.text(0)); });
  if (study.points.empty()) throw ConfigError({file.string(), 0, ""}, "a study without a point");
  return study;
}

}  // namespace cmsim::study
