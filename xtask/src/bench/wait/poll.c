/*
 * The peers of `probe wait`, as small as they can be: poll(2) on cgroup.events,
 * and `kill -0` or rmdir(2) in a loop. `cargo xtask bench` compiles it with cc.
 *
 *   poll events LIMIT_MS [TARGET]    the target is the directory of a cgroup
 *   poll alive PERIOD_MS [TARGET]    the target is a pid
 *   poll rmdir PERIOD_MS [TARGET]    the target is the directory of a cgroup
 *
 * The program waits for the one target and exits, or reads targets line by line.
 * It looks once and prints `armed`, then the moment (CLOCK_MONOTONIC, ns) at which
 * it saw that the target is gone, or `never` when the limit is over.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int populated(int fd)
{
	char text[128];
	ssize_t length = pread(fd, text, sizeof(text) - 1, 0);

	/* The cgroup was removed. */
	if (length < 0)
		return 0;
	text[length] = 0;
	return strstr(text, "populated 1") != NULL;
}

static void events(const char *directory, int limit_ms)
{
	char path[4200];
	struct pollfd it = { .events = POLLPRI };
	int is_populated;

	snprintf(path, sizeof(path), "%s/cgroup.events", directory);
	it.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (it.fd < 0) {
		perror(path);
		exit(1);
	}
	is_populated = populated(it.fd);
	puts("armed");
	while (is_populated) {
		long long limit = now() + limit_ms * 1000000LL;

		/* poll(2) checks the file once more at its limit, without a notification. */
		if (poll(&it, 1, limit_ms) == 0 || now() >= limit) {
			puts("never");
			close(it.fd);
			return;
		}
		is_populated = populated(it.fd);
	}
	printf("%lld events\n", now());
	close(it.fd);
}

/* Without a pid the directory is removed. */
static int gone(const char *directory, pid_t pid)
{
	return pid ? kill(pid, 0) < 0 : rmdir(directory) == 0 || errno != EBUSY;
}

static void repeat(const char *directory, pid_t pid, int period_ms)
{
	struct timespec period = {
		.tv_sec = period_ms / 1000,
		.tv_nsec = period_ms % 1000 * 1000000L,
	};
	int is_gone = gone(directory, pid);

	puts("armed");
	while (!is_gone) {
		nanosleep(&period, NULL);
		is_gone = gone(directory, pid);
	}
	printf("%lld timer\n", now());
}

static void watch(const char *what, int ms, const char *target)
{
	if (strcmp(what, "events") == 0)
		events(target, ms);
	else if (strcmp(what, "rmdir") == 0)
		repeat(target, 0, ms);
	else
		repeat(NULL, atoi(target), ms);
}

int main(int argc, char **argv)
{
	char line[4096];

	if (argc < 3)
		return 2;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 4) {
		watch(argv[1], atoi(argv[2]), argv[3]);
		return 0;
	}
	puts("ready");
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		watch(argv[1], atoi(argv[2]), line);
	}
	return 0;
}
