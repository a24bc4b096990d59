/* Loaded before libc: counts the calls on files under one folder; fails, shortens or kills at the n-th, records all. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FAIL, SHORT, KILL };
static char under[PATH_MAX];
static int wanted, error, action, record = -1;
static long count;

/* Only what is under `folder` counts. nth 0 fails nothing. Every call is a line of the file `path`. */
void fault_arm(const char *folder, const char *path, int nth, int code, int what)
{
    record = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    wanted = nth, error = code, action = what, count = 0;
    snprintf(under, sizeof under, "%s", folder);
}

static int descriptor(int fd, char *path, size_t room)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlink, link, path, room - 1);
    path[length < 0 ? 0 : length] = 0;
    return length > 0;
}

/* Whether this call is to go wrong; it never returns where the process is to die. */
static int strikes(const char *call, int fd, const char *name)
{
    if (!under[0]) return 0;
    int before = errno;
    char path[2 * PATH_MAX] = "", line[3 * PATH_MAX];
    if (name && name[0] == '/') snprintf(path, sizeof path, "%s", name);
    else {
        if (fd == AT_FDCWD) path[0] = getcwd(path, PATH_MAX) ? path[0] : 0;
        else if (!descriptor(fd, path, PATH_MAX)) return errno = before, 0;
        if (name) strcat(strcat(path, "/"), name);
    }
    errno = before;
    if (strncmp(path, under, strlen(under))) return 0;
    long mine = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
    int now = mine == wanted;
    int length = snprintf(line, sizeof line, "%s%s %s\n", now ? "!" : "", call, path);
    syscall(SYS_write, record, line, length);
    if (now && action == KILL) kill(getpid(), SIGKILL), pause();
    errno = before;
    return now;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define BREAK(failed) do { errno = error; return failed; } while (0)

#define TRANSFER(name, call, PARAMETERS, ARGUMENTS, HALF)            \
    ssize_t name PARAMETERS                                          \
    {                                                                \
        if (strikes(call, fd, 0)) {                                  \
            if (action == SHORT) return REAL(name) HALF;             \
            BREAK(-1);                                               \
        }                                                            \
        return REAL(name) ARGUMENTS;                                 \
    }
TRANSFER(write, "write", (int fd, const void *data, size_t size), (fd, data, size), (fd, data, (size + 1) / 2))
TRANSFER(read, "read", (int fd, void *data, size_t size), (fd, data, size), (fd, data, (size + 1) / 2))
TRANSFER(pread64, "read", (int fd, void *data, size_t size, off64_t at), (fd, data, size, at), (fd, data, (size + 1) / 2, at))
TRANSFER(pwrite64, "write", (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at), (fd, data, (size + 1) / 2, at))
TRANSFER(preadv64, "read", (int fd, const struct iovec *all, int n, off64_t at), (fd, all, n, at), (fd, all, (n + 1) / 2, at))

#define PLAIN(name, call, failed, FD, PATH, PARAMETERS, ARGUMENTS)   \
    int name PARAMETERS                                              \
    {                                                                \
        if (action != SHORT && strikes(call, FD, PATH)) BREAK(failed); \
        return REAL(name) ARGUMENTS;                                 \
    }
PLAIN(fsync, "fsync", -1, fd, 0, (int fd), (fd))
PLAIN(fstat64, "fstat", -1, fd, 0, (int fd, struct stat64 *found), (fd, found))
PLAIN(ftruncate64, "truncate", -1, fd, 0, (int fd, off64_t size), (fd, size))
PLAIN(fchmod, "chmod", -1, fd, 0, (int fd, mode_t mode), (fd, mode))
PLAIN(posix_fallocate64, "fallocate", error, fd, 0, (int fd, off64_t at, off64_t size), (fd, at, size))
PLAIN(renameat, "rename", -1, to, new, (int from, const char *old, int to, const char *new), (from, old, to, new))
PLAIN(renameat2, "rename", -1, to, new, (int from, const char *old, int to, const char *new, unsigned flags), (from, old, to, new, flags))
PLAIN(rename, "rename", -1, AT_FDCWD, new, (const char *old, const char *new), (old, new))
PLAIN(linkat, "link", -1, to, new, (int from, const char *old, int to, const char *new, int flags), (from, old, to, new, flags))
PLAIN(mkdirat, "mkdir", -1, fd, name, (int fd, const char *name, mode_t mode), (fd, name, mode))

/* A removal is never failed, for then what is to be removed must stay; it can be a moment to die. */
#define REMOVAL(name, FD, PARAMETERS, ARGUMENTS)                     \
    int name PARAMETERS                                              \
    {                                                                \
        if (action == KILL) strikes("unlink", FD, path);             \
        return REAL(name) ARGUMENTS;                                 \
    }
REMOVAL(unlink, AT_FDCWD, (const char *path), (path))
REMOVAL(unlinkat, fd, (int fd, const char *path, int flags), (fd, path, flags))
REMOVAL(rmdir, AT_FDCWD, (const char *path), (path))

/* Linux closes the descriptor whatever close says. */
int close(int fd)
{
    int struck = action != SHORT && strikes("close", fd, 0), done = REAL(close)(fd);
    if (struck) BREAK(-1);
    return done;
}

#define OPENING(name, FD, PARAMETERS, ARGUMENTS)                     \
    int name PARAMETERS                                              \
    {                                                                \
        va_list more;                                                \
        va_start(more, flags);                                       \
        int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, int) : 0; \
        va_end(more);                                                \
        if (action != SHORT && strikes("open", FD, path)) BREAK(-1); \
        return REAL(name) ARGUMENTS;                                 \
    }
OPENING(open64, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPENING(openat64, fd, (int fd, const char *path, int flags, ...), (fd, path, flags, mode))
