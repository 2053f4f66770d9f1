// The database is made in memory and given out as the bytes of its file, so that it appears whole.
#include <fmt/format.h>
#include <sqlite3.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cmsim/base/error.hpp"
#include "cmsim/base/version.hpp"
#include "cmsim/study/tables.hpp"

namespace cmsim::study {
namespace {

constexpr const char* kSchema = R"(
  CREATE TABLE study (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
  CREATE TABLE points (
    number INTEGER PRIMARY KEY, digest TEXT NOT NULL, cell INTEGER NOT NULL, seed INTEGER,
    state TEXT NOT NULL, error TEXT NOT NULL, command TEXT NOT NULL, result TEXT) STRICT;
  CREATE TABLE params (
    number INTEGER NOT NULL REFERENCES points, name TEXT NOT NULL, setting TEXT NOT NULL,
    quantity REAL, PRIMARY KEY (number, name)) STRICT, WITHOUT ROWID;
  CREATE TABLE "values" (
    number INTEGER NOT NULL REFERENCES points, metric TEXT NOT NULL, value REAL, text TEXT,
    PRIMARY KEY (number, metric)) STRICT, WITHOUT ROWID;
)";

class Database {
 public:
  Database() {
    sqlite3* handle = nullptr;
    const int code = sqlite3_open(":memory:", &handle);
    handle_.reset(handle);
    require(code);
  }
  void execute(const char* sql) {
    require(sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr));
  }
  sqlite3* get() const { return handle_.get(); }
  void require(int code) const {
    if (code == SQLITE_OK || code == SQLITE_DONE) return;
    throw OutputError(fmt::format("the database of the study: {}", sqlite3_errmsg(handle_.get())));
  }
  std::string bytes() const {
    sqlite3_int64 size = 0;
    const std::unique_ptr<unsigned char, decltype(&sqlite3_free)> image(
        sqlite3_serialize(handle_.get(), "main", &size, 0), &sqlite3_free);
    if (!image) throw OutputError("the database of the study: there is not enough memory for it");
    return {reinterpret_cast<const char*>(image.get()), static_cast<std::size_t>(size)};
  }

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close(handle); }
  };
  std::unique_ptr<sqlite3, Close> handle_;
};

/// One INSERT, used many times: values in order, then row().
class Insert {
 public:
  Insert(const Database& database, const char* sql) : database_(database) {
    sqlite3_stmt* statement = nullptr;
    database.require(sqlite3_prepare_v2(database.get(), sql, -1, &statement, nullptr));
    statement_.reset(statement);
  }
  Insert& operator<<(const std::string& text) {
    return bound(sqlite3_bind_text64(statement_.get(), ++at_, text.data(), text.size(),
                                     SQLITE_TRANSIENT, SQLITE_UTF8));
  }
  Insert& operator<<(double number) {
    return bound(sqlite3_bind_double(statement_.get(), ++at_, number));
  }
  Insert& operator<<(std::int64_t number) {
    return bound(sqlite3_bind_int64(statement_.get(), ++at_, number));
  }
  Insert& operator<<(Nothing) { return bound(sqlite3_bind_null(statement_.get(), ++at_)); }
  void row() {
    database_.require(sqlite3_step(statement_.get()));
    database_.require(sqlite3_reset(statement_.get()));
    at_ = 0;
  }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  Insert& bound(int code) {
    database_.require(code);
    return *this;
  }

  const Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int at_ = 0;
};

void add_facts(const Database& database, const Study& study) {
  Insert insert(database, "INSERT INTO study VALUES (?, ?)");
  (insert << std::string("version") << std::string(kVersion)).row();
  (insert << std::string("command") << study.command).row();
  (insert << std::string("scenario") << study.file.string()).row();
}

void add_points(const Database& database, const Table& table) {
  Insert insert(database, "INSERT INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  for (std::size_t i = 0; i < table.points.size(); ++i) {
    const auto& [point, cell, digest] = table.points[i];
    const Outcome& outcome = table.outcomes[i];
    insert << static_cast<std::int64_t>(i) << digest << static_cast<std::int64_t>(cell);
    // SQLite's integers are signed; a seed beyond them keeps its bits.
    if (point.seed) {
      insert << static_cast<std::int64_t>(*point.seed);
    } else {
      insert << Nothing{};
    }
    insert << std::string(state_of(outcome)) << outcome.error << spelled(point);
    if (outcome.done()) {
      insert << outcome.result;
    } else {
      insert << Nothing{};
    }
    insert.row();
  }
}

void add_params(const Database& database, const Table& table) {
  Insert insert(database, "INSERT INTO params VALUES (?, ?, ?, ?)");
  const std::vector<Axis> axes = table.study.axes();
  for (std::size_t i = 0; i < table.points.size(); ++i) {
    const std::vector<std::string>& values = table.cells[table.points[i].cell].values;
    for (std::size_t axis = 0; axis < axes.size(); ++axis) {
      insert << static_cast<std::int64_t>(i) << axes[axis].pointer << values[axis];
      if (const auto number = numeric_value(values[axis])) {
        insert << *number;
      } else {
        insert << Nothing{};
      }
      insert.row();
    }
  }
}

void add_values(const Database& database, const Table& table) {
  Insert insert(database, "INSERT INTO \"values\" VALUES (?, ?, ?, ?)");
  for (std::size_t i = 0; i < table.points.size(); ++i) {
    for (std::size_t m = 0; m < table.study.metrics.size(); ++m) {
      const Value& value = table.values[i][m];
      if (std::holds_alternative<Nothing>(value)) continue;
      insert << static_cast<std::int64_t>(i) << table.study.metrics[m].name;
      if (const auto* number = std::get_if<double>(&value)) {
        insert << *number << Nothing{};
      } else if (const auto* flag = std::get_if<bool>(&value)) {
        insert << (*flag ? 1.0 : 0.0) << Nothing{};
      } else {
        insert << Nothing{} << std::get<std::string>(value);
      }
      insert.row();
    }
  }
}

}  // namespace

std::string to_database(const Table& table) {
  Database database;
  database.execute(kSchema);
  database.execute("BEGIN");
  add_facts(database, table.study);
  add_points(database, table);
  add_params(database, table);
  add_values(database, table);
  database.execute("COMMIT");
  return database.bytes();
}

}  // namespace cmsim::study
