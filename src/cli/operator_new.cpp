// Memory of the program: arrays of a huge page or more are put on huge pages of their own, and so
// is malloc's heap, which keeps all that is smaller, where the system gives them to who asks
// (docs/performance.md). The heap grows by several at a time and gives back what is freed at its
// end only when it is much: a program that forks pays for every page it touches anew.
//
// Of the program alone: no library replaces what belongs to who links it, and sanitizers have an
// allocator of their own.
#ifndef CMSIM_SANITIZED

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

constexpr std::size_t kHugePage = 2 << 20;  // of x86-64, and of aarch64 with pages of 4 KB

[[maybe_unused]] const bool kHeapGrowsByHugePages = [] {
  ::mallopt(M_TOP_PAD, 8 * kHugePage);
  ::mallopt(M_TRIM_THRESHOLD, 64 * kHugePage);
  return ::mallopt(M_MMAP_THRESHOLD, kHugePage) == 1;
}();

std::atomic<std::uintptr_t> advised{0};  // the end of the heap that was put on huge pages

/// What lies beyond that end is either an array mapped by itself or says that the heap grew.
void advise_heap(std::uintptr_t beyond) {
  const auto end = reinterpret_cast<std::uintptr_t>(::sbrk(0));
  if (beyond >= end) return;
  const std::uintptr_t known = advised.load(std::memory_order_relaxed);
  const std::uintptr_t first = (known > 0 ? known : beyond + kHugePage - 1) / kHugePage * kHugePage;
  const std::uintptr_t last = end / kHugePage * kHugePage;
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
  advised.store(end, std::memory_order_relaxed);
}

void* allocate_small(std::size_t size) {
  void* const memory = std::malloc(size > 0 ? size : 1);
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  if (address >= advised.load(std::memory_order_relaxed)) advise_heap(address);
  return memory;
}

/// Nothing when there is none.
void* allocate(std::size_t size) {
  if (size < kHugePage) return allocate_small(size);
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
