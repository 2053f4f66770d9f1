// Makes one system call of a program fail. Preloaded into it, this library has the kernel (seccomp)
// trap every call that writes, names or locks a file, whoever makes it: stdio and libstdc++ call
// the kernel past any symbol that a preloaded library could replace. A trapped call is a point when
// it is about standard output, standard error or something in CMSIM_FAULT_DIR; points are numbered
// from 1 in order. All other calls pass as they are.
//
//   CMSIM_FAULT_DIR  an absolute path without links
//   CMSIM_FAULT_LOG  a file; gets a line "NUMBER OPERATION PATH" before each point is reached
//   CMSIM_FAULT      POINT:KIND:VALUE, where KIND is
//                      errno   the call fails with the error VALUE
//                      short   a write takes only half of what it is given
//                      before  signal VALUE is raised, then the call is made
//                      after   the call is made, then signal VALUE is raised,
//                              both times twice, as by somebody without patience
//
// Operations: open (to read), create (open to write), write, close (of a file open for writing),
// sync, truncate, rename, unlink, link, mkdir, lock, access.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

enum { kPath = 4096, kLogDescriptor = 200 };
enum { kMyCall = 0x636d7369 };  // the sixth argument, which no trapped call has, of our own calls

// Where a call names what it is about: each member but the first two is the index of an argument.
enum { kNone = -1, kWorkingDirectory = -2 };
struct Call {
  int number;
  const char* operation;
  int descriptor;
  int directory[2];  // what its paths are relative to
  int path[2];
  int flags;  // of an open
};

#define BY_DESCRIPTOR(name, operation) \
  { SYS_##name, operation, 0, {kNone, kNone}, {kNone, kNone}, kNone }
#define BY_PATH(name, operation) \
  { SYS_##name, operation, kNone, {kWorkingDirectory, kNone}, {0, kNone}, kNone }
#define BY_PATH_AT(name, operation) \
  { SYS_##name, operation, kNone, {0, kNone}, {1, kNone}, kNone }
#define BY_TWO_PATHS_AT(name, operation) \
  { SYS_##name, operation, kNone, {0, 2}, {1, 3}, kNone }

static const struct Call kCalls[] = {
    {SYS_openat, "open", kNone, {0, kNone}, {1, kNone}, 2},
    BY_DESCRIPTOR(write, "write"),
    BY_DESCRIPTOR(writev, "write"),
    BY_DESCRIPTOR(pwrite64, "write"),
    BY_DESCRIPTOR(close, "close"),
    BY_DESCRIPTOR(fsync, "sync"),
    BY_DESCRIPTOR(fdatasync, "sync"),
    BY_DESCRIPTOR(ftruncate, "truncate"),
    BY_DESCRIPTOR(flock, "lock"),
    BY_PATH_AT(mkdirat, "mkdir"),
    BY_PATH_AT(unlinkat, "unlink"),
    BY_PATH_AT(faccessat, "access"),
    BY_PATH_AT(faccessat2, "access"),
    BY_TWO_PATHS_AT(renameat, "rename"),
    BY_TWO_PATHS_AT(renameat2, "rename"),
    BY_TWO_PATHS_AT(linkat, "link"),
#ifdef SYS_open  // the older half of the calls, which only older machines have
    {SYS_open, "open", kNone, {kWorkingDirectory, kNone}, {0, kNone}, 1},
    BY_PATH(mkdir, "mkdir"),
    BY_PATH(unlink, "unlink"),
    BY_PATH(access, "access"),
    {SYS_rename, "rename", kNone, {kWorkingDirectory, kWorkingDirectory}, {0, 1}, kNone},
#endif
};
enum { kCallCount = sizeof kCalls / sizeof kCalls[0] };

static const char* fault_directory;
static long fault_point, fault_value, points;
static char fault_kind[8];

static long pass(int number, const long* argument) {
  const long result = syscall(number, argument[0], argument[1], argument[2], argument[3],
                              argument[4], (long)kMyCall);
  return result < 0 ? -errno : result;
}

/// The path of an open file, or "" when there is none.
static void path_of_descriptor(int descriptor, char* path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, kPath - 1);
  path[length < 0 ? 0 : length] = '\0';
}

static void absolute_path(int directory, const char* name, char* path) {
  if (name[0] == '/') {
    snprintf(path, kPath, "%s", name);
    return;
  }
  if (directory != AT_FDCWD) {
    path_of_descriptor(directory, path);
  } else if (getcwd(path, kPath) == NULL) {
    path[0] = '\0';
  }
  const size_t length = strlen(path);
  snprintf(path + length, kPath - length, "/%s", name);
}

static int in_fault_directory(const char* path) {
  const size_t length = strlen(fault_directory);
  return strncmp(path, fault_directory, length) == 0 &&
         (path[length] == '/' || path[length] == '\0');
}

/// Whether the call is a point; `path` is what it is about, of two paths the latter.
static int concerns_us(const struct Call* call, const long* argument, char* path) {
  if (call->descriptor != kNone) {
    const int descriptor = (int)argument[call->descriptor];
    path_of_descriptor(descriptor, path);
    if (in_fault_directory(path)) {  // but nothing can be lost by closing what was only read
      return call->number != SYS_close || (fcntl(descriptor, F_GETFL) & O_ACCMODE) != O_RDONLY;
    }
    if (strcmp(call->operation, "write") != 0 || descriptor < 1 || descriptor > 2) return 0;
    strcpy(path, descriptor == 1 ? "stdout" : "stderr");
    return 1;
  }
  int concerned = 0;
  for (int i = 0; i < 2 && call->path[i] != kNone; ++i) {
    const int directory = call->directory[i];
    absolute_path(directory == kWorkingDirectory ? AT_FDCWD : (int)argument[directory],
                  (const char*)argument[call->path[i]], path);
    concerned |= in_fault_directory(path);
  }
  return concerned;
}

/// Half of a write, at least a byte.
static long write_half(int number, const long* argument) {
  long half[6];
  memcpy(half, argument, sizeof half);
  if (number == SYS_writev) {  // the fuller half of the first part that has anything
    const struct iovec* part = (const struct iovec*)argument[1];
    while (part->iov_len == 0) ++part;
    half[1] = (long)part->iov_base;
    half[2] = (long)part->iov_len;
  }
  half[2] -= half[2] / 2;
  return pass(number == SYS_writev ? SYS_write : number, half);
}

static void raise_when(const char* kind) {
  for (int i = 0; i < 2 && strcmp(fault_kind, kind) == 0; ++i) kill(getpid(), (int)fault_value);
}

static long with_fault(const struct Call* call, const long* argument) {
  if (strcmp(fault_kind, "short") == 0) return write_half(call->number, argument);
  if (strcmp(fault_kind, "errno") == 0) {
    if (call->number == SYS_close) pass(call->number, argument);  // it closes even when it fails
    if (fault_value == EPIPE) kill(getpid(), SIGPIPE);
    return -fault_value;
  }
  raise_when("before");
  const long result = pass(call->number, argument);
  raise_when("after");
  return result;
}

static long on_call(int number, const long* argument) {
  char path[kPath], line[kPath + 64];
  const struct Call* call = kCalls;
  while (call->number != number) ++call;
  if (!concerns_us(call, argument, path)) return pass(number, argument);
  const int writes = call->flags != kNone && (argument[call->flags] & O_ACCMODE) != O_RDONLY;
  const char* operation = writes ? "create" : call->operation;
  const int length = snprintf(line, sizeof line, "%ld %s %s\n", ++points, operation, path);
  const long log[6] = {kLogDescriptor, (long)line, length};
  pass(SYS_write, log);
  return points == fault_point ? with_fault(call, argument) : pass(number, argument);
}

static void on_trap(int signal, siginfo_t* info, void* context) {
  (void)signal;
  const int kept = errno;
  mcontext_t* machine = &((ucontext_t*)context)->uc_mcontext;
#if defined(__x86_64__)
  greg_t* r = machine->gregs;
  const long argument[6] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9]};
  r[REG_RAX] = on_call(info->si_syscall, argument);
#elif defined(__aarch64__)
  long argument[6];
  memcpy(argument, machine->regs, sizeof argument);
  machine->regs[0] = (unsigned long)on_call(info->si_syscall, argument);
#else
#error "where are the arguments of a system call on this machine?"
#endif
  errno = kept;
}

// A trap is fatal when its signal is blocked: a program that blocks all signals must not block it.
int pthread_sigmask(int how, const sigset_t* set, sigset_t* old) {
  sigset_t without = set != NULL ? *set : (sigset_t){0};
  sigdelset(&without, SIGSYS);
  set = set != NULL ? &without : NULL;
  return syscall(SYS_rt_sigprocmask, how, set, old, _NSIG / 8) == 0 ? 0 : errno;
}

int sigprocmask(int how, const sigset_t* set, sigset_t* old) {
  const int error = pthread_sigmask(how, set, old);
  if (error != 0) errno = error;
  return error == 0 ? 0 : -1;
}

static void die(const char* what) {
  perror(what);
  _exit(99);
}

#define LOAD(field) \
  (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define WHEN(value, skipped) \
  (struct sock_filter) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, (unsigned char)(skipped), 0)
#define VERDICT(name) (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_##name)

__attribute__((constructor)) static void start(void) {
  const char* fault = getenv("CMSIM_FAULT");
  const char* log = getenv("CMSIM_FAULT_LOG");
  fault_directory = getenv("CMSIM_FAULT_DIR");
  if (fault_directory == NULL || log == NULL) return;
  if (fault != NULL) sscanf(fault, "%ld:%7[a-z]:%ld", &fault_point, fault_kind, &fault_value);
  const int descriptor = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0666);
  if (descriptor < 0 || dup3(descriptor, kLogDescriptor, O_CLOEXEC) < 0) die(log);
  close(descriptor);

  struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
  if (sigaction(SIGSYS, &action, NULL) != 0) die("SIGSYS");
  struct sock_filter filter[kCallCount + 5] = {LOAD(args[5]), WHEN(kMyCall, kCallCount + 1),
                                               LOAD(nr), [kCallCount + 3] = VERDICT(ALLOW),
                                               VERDICT(TRAP)};
  for (int i = 0; i < kCallCount; ++i) filter[i + 3] = WHEN(kCalls[i].number, kCallCount - i);
  const struct sock_fprog program = {.len = kCallCount + 5, .filter = filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die("no_new_privs");
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) die("seccomp");
}
