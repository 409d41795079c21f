/*
 * The peers of `probe wait`, as small as they can be: poll(2) on cgroup.events,
 * and `kill -0` again and again. `cargo xtask bench wait` compiles it with cc.
 *
 *   poll events LIMIT_MS    reads directories of cgroups, line by line
 *   poll alive PERIOD_MS    reads pids, line by line
 *
 * For each line it answers `armed`, then the moment (CLOCK_MONOTONIC, ns) at
 * which it knew that the target is gone, or `never` when the limit is over.
 */
#define _GNU_SOURCE
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

	/* It was removed. */
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

		/* It looks once more before it gives up: nobody woke it then. */
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

static void alive(pid_t pid, int period_ms)
{
	struct timespec period = {
		.tv_sec = period_ms / 1000,
		.tv_nsec = period_ms % 1000 * 1000000L,
	};

	puts("armed");
	while (kill(pid, 0) == 0)
		nanosleep(&period, NULL);
	printf("%lld timer\n", now());
}

int main(int argc, char **argv)
{
	char line[4096];

	if (argc != 3)
		return 2;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		if (strcmp(argv[1], "events") == 0)
			events(line, atoi(argv[2]));
		else
			alive(atoi(line), atoi(argv[2]));
	}
	return 0;
}
