// Memory of the program: arrays of a huge page or more are put on huge pages, where the system
// gives them to who asks (docs/performance.md). What is smaller is malloc's, as it would be without
// this.
//
// Of the program alone: no library replaces what belongs to who links it, and sanitizers have an
// allocator of their own.
#ifndef CMSIM_SANITIZED

#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace {

constexpr std::size_t kHugePage = 2 << 20;  // of x86-64, and of aarch64 with pages of 4 KB

/// Nothing when there is none.
void* allocate(std::size_t size) {
  if (size < kHugePage) return std::malloc(size > 0 ? size : 1);
  const std::size_t whole_pages = (size + kHugePage - 1) / kHugePage * kHugePage;
  if (whole_pages < size) return nullptr;
  void* const memory = std::aligned_alloc(kHugePage, whole_pages);
  if (memory != nullptr)
    ::madvise(memory, whole_pages, MADV_HUGEPAGE);  // advice: it may be refused
  return memory;
}

}  // namespace

void* operator new(std::size_t size) {
  for (;;) {
    if (void* const memory = allocate(size)) return memory;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

#endif
