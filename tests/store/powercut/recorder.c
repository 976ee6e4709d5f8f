/* A disk that takes notes, and that can be told to fail. Loaded with LD_PRELOAD into the program under test.
 *
 * Every call below that changes a file under DISK_ROOT, or syncs one, is made and then written down in DISK_LOG, both
 * under one lock: the order of the notes is an order in which the calls may have happened. `recording.py` reads the
 * notes, `replay.py` says what a loss of power makes of them.
 *
 * DISK_FAULT=<class>:<n>:<errno>:<how> makes the n-th call of a class fail (n counts from 1, under DISK_ROOT only):
 *   class  `space`  what needs room: writes, growth by truncation or allocation, new names
 *          `grow`   the same without writes over bytes that the file has already (those need no room on most disks)
 *          `sync`   fsync and fdatasync
 *   how    `once`   this call and no other          `stays`  this call and all after it
 *          `short`  (writes) half of the bytes are taken; the calls after it fail as with `stays`
 *          `half`   (writes) half of the bytes are taken, once
 *
 * The program may call `disk_mark(text)` to write a note of its own, `disk_fault(spec)` to change the fault ("" for none),
 * and `disk_failed()` for the path of the last call that was made to fail since then, "" if none was.
 *
 * What is not seen: writes through shared maps (noted as `?` where one is made that could) and files opened inside the C
 * library (fopen). A test compares what the notes add up to with what lies on disk.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* One note: this header, and then `size` bytes. `what`: C created, W written, T cut or grown to `offset` bytes, S synced
 * (flag 1: a directory, the bytes are its path), D directory made, R renamed (old NUL new), U unlinked, X directory
 * removed, L linked (old NUL new), M mark, F made to fail (the bytes are the path), ? something that the replay does not know. Flag 1 of W: the
 * descriptor is O_SYNC or O_DSYNC, so the bytes were on the disk when the call returned. */
struct note {
    char what, flag, spare[6];
    uint64_t inode, offset, size;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static int log_fd = -1;
static struct { char class[16]; long left; int error, stays, half; } fault; /* left: 0 none, -1 from now on */
static char failed[PATH_MAX];

void disk_fault(const char *spec) {
    char how[16];
    pthread_mutex_lock(&lock);
    failed[0] = 0;
    if (sscanf(spec, "%15[^:]:%ld:%d:%15s", fault.class, &fault.left, &fault.error, how) != 4) fault.left = 0;
    fault.stays = !strcmp(how, "stays") || !strcmp(how, "short");
    fault.half = !strcmp(how, "half") || !strcmp(how, "short");
    pthread_mutex_unlock(&lock);
}

const char *disk_failed(void) { return failed; }

__attribute__((constructor)) static void begin(void) {
    const char *where = getenv("DISK_ROOT"), *log = getenv("DISK_LOG"), *spec = getenv("DISK_FAULT");
    if (!where || !realpath(where, root)) root[0] = 0;
    if (log) log_fd = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (spec) disk_fault(spec);
}

/* -- notes and places -- */

static void note(char what, int flag, uint64_t inode, uint64_t offset, const struct iovec *parts, int count) {
    struct note head = {what, (char)flag, {0}, inode, offset, 0};
    struct iovec all[IOV_MAX];
    if (log_fd < 0 || count >= IOV_MAX) return;
    for (int i = 0; i < count; i++) head.size += (all[i + 1] = parts[i]).iov_len;
    all[0] = (struct iovec){&head, sizeof head};
    if (syscall(SYS_writev, log_fd, all, count + 1) != (long)(sizeof head + head.size)) abort();
}

static void note_text(char what, int flag, uint64_t inode, uint64_t offset, const char *text, size_t size) {
    struct iovec part = {(void *)text, size};
    note(what, flag, inode, offset, &part, 1);
}

void disk_mark(const char *text) {
    pthread_mutex_lock(&lock);
    note_text('M', 0, 0, 0, text, strlen(text));
    pthread_mutex_unlock(&lock);
}

/* Returns the path below the root, "" for the root itself, or NULL if it is elsewhere. */
static const char *below(const char *path) {
    size_t length = strlen(root);
    if (!length || strncmp(path, root, length)) return NULL;
    return path[length] == '/' ? path + length + 1 : path[length] ? NULL : path + length;
}

static const char *place_of(int fd, char out[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, out, PATH_MAX - 1);
    if (length < 0) return NULL;
    out[length] = 0;
    return below(out);
}

/* The place of a name: its directory as the kernel spells it, and the last part as it was given. */
static const char *place_at(int dirfd, const char *path, char out[PATH_MAX]) {
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (!root[0] || strlen(path) >= PATH_MAX) return NULL;
    if (slash == path) strcpy(parent, "/");
    else if (slash) { memcpy(parent, path, slash - path); parent[slash - path] = 0; }
    else strcpy(parent, ".");
    int fd = syscall(SYS_openat, dirfd, parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return NULL;
    const char *inside = place_of(fd, out);
    close(fd);
    if (!inside || strlen(out) + strlen(name) + 2 > PATH_MAX) return NULL;
    strcat(strcat(out, "/"), name);
    return below(out);
}

static uint64_t inode_of(int fd) {
    struct stat status;
    return fstat(fd, &status) ? 0 : status.st_ino;
}

static off_t size_of(int fd) {
    struct stat status;
    return fstat(fd, &status) ? 0 : status.st_size;
}

/* Returns whether this call is to fail, and notes it; `path` is the file, and the caller holds the lock. */
static int fails(const char *class, int grows, const char *path) {
    if (!fault.left) return 0;
    int counts = !strcmp(fault.class, class) || (!strcmp(class, "space") && grows && !strcmp(fault.class, "grow"));
    if (!counts || (fault.left > 0 && --fault.left)) return 0;
    fault.left = fault.stays ? -1 : 0;
    strcpy(failed, path);
    note_text('F', 0, 0, 0, path, strlen(path));
    errno = fault.error;
    return 1;
}

/* -- writes -- */

/* Makes parts end after `size` bytes. */
static void shorten(struct iovec *parts, int count, size_t size) {
    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len > size) parts[i].iov_len = size;
        size -= parts[i].iov_len;
    }
}

static ssize_t record_write(int fd, const struct iovec *given, int count, off_t offset, int positioned) {
    char path[PATH_MAX];
    struct iovec parts[IOV_MAX];
    size_t size = 0;
    if (!root[0] || !place_of(fd, path) || count >= IOV_MAX)
        return positioned ? syscall(SYS_pwritev, fd, given, count, offset, 0) : syscall(SYS_writev, fd, given, count);
    memcpy(parts, given, count * sizeof *parts);
    for (int i = 0; i < count; i++) size += parts[i].iov_len;
    pthread_mutex_lock(&lock);
    int flags = fcntl(fd, F_GETFL);
    off_t at = positioned ? offset : (flags & O_APPEND) ? size_of(fd) : lseek(fd, 0, SEEK_CUR);
    ssize_t done = -1;
    if (fails("space", at + (off_t)size > size_of(fd), path)) {
        shorten(parts, count, size = fault.half ? size / 2 : 0);
        fault.half = 0;
    }
    if (size) done = positioned ? syscall(SYS_pwritev, fd, parts, count, offset, 0) : syscall(SYS_writev, fd, parts, count);
    int error = errno;
    if (done > 0) {
        shorten(parts, count, done);
        note('W', (flags & (O_SYNC | O_DSYNC)) != 0, inode_of(fd), at, parts, count);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

ssize_t write(int fd, const void *data, size_t size) {
    struct iovec part = {(void *)data, size};
    return record_write(fd, &part, 1, 0, 0);
}
ssize_t writev(int fd, const struct iovec *parts, int count) { return record_write(fd, parts, count, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    struct iovec part = {(void *)data, size};
    return record_write(fd, &part, 1, offset, 1);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    return record_write(fd, parts, count, offset, 1);
}
ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    (void)flags;
    return record_write(fd, parts, count, offset, 1);
}
ssize_t pwrite64(int, const void *, size_t, off64_t) __attribute__((alias("pwrite")));
ssize_t pwritev64(int, const struct iovec *, int, off64_t) __attribute__((alias("pwritev")));
ssize_t pwritev64v2(int, const struct iovec *, int, off64_t, int) __attribute__((alias("pwritev2")));

static int record_size(int fd, off_t size, int allocate) {
    char path[PATH_MAX];
    pthread_mutex_lock(&lock);
    int inside = root[0] && place_of(fd, path) != NULL, grows = size > size_of(fd), done = -1;
    if (!(inside && (grows || allocate) && fails("space", 1, path))) {
        done = allocate ? syscall(SYS_fallocate, fd, 0, 0, size) : syscall(SYS_ftruncate, fd, size);
        if (inside && !done && (grows || !allocate)) note('T', 0, inode_of(fd), size, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int ftruncate(int fd, off_t size) { return record_size(fd, size, 0); }
int ftruncate64(int, off64_t) __attribute__((alias("ftruncate")));
int fallocate(int fd, int mode, off_t offset, off_t size) {
    if (mode) { errno = EOPNOTSUPP; return -1; }
    return record_size(fd, offset + size, 1);
}
int fallocate64(int, int, off64_t, off64_t) __attribute__((alias("fallocate")));
int posix_fallocate(int fd, off_t offset, off_t size) { return record_size(fd, offset + size, 1) ? errno : 0; }
int posix_fallocate64(int, off64_t, off64_t) __attribute__((alias("posix_fallocate")));

/* -- syncs -- */

static int record_sync(int fd, long call) {
    char path[PATH_MAX];
    struct stat status;
    const char *inside = root[0] ? place_of(fd, path) : NULL;
    if (!inside) return syscall(call, fd);
    pthread_mutex_lock(&lock);
    int done = fails("sync", 0, path) ? -1 : syscall(call, fd);
    if (!done && !fstat(fd, &status)) {
        int folder = S_ISDIR(status.st_mode);
        note_text('S', folder, status.st_ino, 0, inside, folder ? strlen(inside) : 0);
    }
    pthread_mutex_unlock(&lock);
    return done;
}
int fsync(int fd) { return record_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return record_sync(fd, SYS_fdatasync); }

/* -- names -- */

static int record_open(int dirfd, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    struct stat before;
    if (!(flags & (O_CREAT | O_TRUNC))) return syscall(SYS_openat, dirfd, name, flags, mode);
    pthread_mutex_lock(&lock);
    const char *inside = place_at(dirfd, name, path);
    int existed = inside && !fstatat(dirfd, name, &before, 0), fd = -1;
    if (!(inside && !existed && fails("space", 1, path))) fd = syscall(SYS_openat, dirfd, name, flags, mode);
    int error = errno;
    if (inside && fd >= 0 && !existed) note_text('C', 0, inode_of(fd), 0, inside, strlen(inside));
    else if (inside && fd >= 0 && (flags & O_TRUNC) && before.st_size) note('T', 0, before.st_ino, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

static mode_t mode_in(int flags, va_list more) { return flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; }

int open(const char *name, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_in(flags, more);
    va_end(more);
    return record_open(AT_FDCWD, name, flags, mode);
}
int openat(int dirfd, const char *name, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_in(flags, more);
    va_end(more);
    return record_open(dirfd, name, flags, mode);
}
int open64(const char *, int, ...) __attribute__((alias("open")));
int openat64(int, const char *, int, ...) __attribute__((alias("openat")));

/* Makes a call that changes one or two names, and notes it. */
static int record_name(char what, long call, int dir1, const char *name1, int dir2, const char *name2, long last) {
    char path1[PATH_MAX], path2[PATH_MAX], both[2 * PATH_MAX];
    pthread_mutex_lock(&lock);
    const char *first = place_at(dir1, name1, path1), *second = name2 ? place_at(dir2, name2, path2) : NULL;
    struct stat there;
    int inside = first || second, done = -1;
    int makes = what == 'R' || ((what == 'D' || what == 'L') && fstatat(name2 ? dir2 : dir1, name2 ? name2 : name1, &there, 0));
    if (!(inside && makes && fails("space", 1, second ? path2 : path1)))
        done = name2 ? syscall(call, dir1, name1, dir2, name2, last) : syscall(call, dir1, name1, last);
    int error = errno;
    if (inside && !done) {
        size_t size = stpcpy(both, first ? first : "/outside") - both;
        if (name2) size = stpcpy(both + size + 1, second ? second : "/outside") - both;
        note_text((name2 && !(first && second)) ? '?' : what, 0, 0, 0, both, size);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int mkdirat(int dir, const char *name, mode_t mode) { return record_name('D', SYS_mkdirat, dir, name, 0, NULL, mode); }
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }
int unlinkat(int dir, const char *name, int flags) {
    return record_name(flags & AT_REMOVEDIR ? 'X' : 'U', SYS_unlinkat, dir, name, 0, NULL, flags);
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }
int renameat(int dir1, const char *old, int dir2, const char *new) {
    return record_name('R', SYS_renameat2, dir1, old, dir2, new, 0);
}
int rename(const char *old, const char *new) { return renameat(AT_FDCWD, old, AT_FDCWD, new); }
int linkat(int dir1, const char *old, int dir2, const char *new, int flags) {
    return record_name('L', SYS_linkat, dir1, old, dir2, new, flags);
}
int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

/* -- what would go unseen -- */

void *mmap(void *where, size_t size, int protection, int flags, int fd, off_t offset) {
    char path[PATH_MAX];
    const char *inside;
    if (fd >= 0 && root[0] && (protection & PROT_WRITE) && (flags & MAP_SHARED) && (inside = place_of(fd, path))) {
        pthread_mutex_lock(&lock);
        note_text('?', 1, inode_of(fd), 0, inside, strlen(inside));
        pthread_mutex_unlock(&lock);
    }
    return (void *)syscall(SYS_mmap, where, size, protection, flags, fd, offset);
}
void *mmap64(void *, size_t, int, int, int, off64_t) __attribute__((alias("mmap")));
