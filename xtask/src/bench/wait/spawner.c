/*
 * The parent of processes that are killed, and a process that keeps a CPU busy.
 * `cargo xtask bench wait` compiles it with cc.
 *
 *   spawner spawn       reads `COUNT keep|remove DIRECTORY`, line by line
 *   spawner spin CPU    spins on one CPU
 *   spawner rest        a child
 *
 * The reply to a line is the pid of the first of COUNT children, when all of them
 * rest in the cgroup, then `over`, when all of them are reaped. With `remove` the
 * cgroup is removed by then, as the parent of a container may do.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The descriptor on which a child reports that it rests. */
#define READY 3

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Starts a child in the cgroup, so that no memory of it is charged elsewhere. */
static pid_t spawn_child(int directory, int ready)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = directory,
	};
	pid_t pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		fail("clone3");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* The child executes a program, as in a container: a mere copy of
		 * this process has hardly any memory to free when it dies. */
		if (dup2(ready, READY) == READY)
			execl("/proc/self/exe", "spawner", "rest", NULL);
		_exit(1);
	}
	return pid;
}

static void rest(void)
{
	prctl(PR_SET_NAME, "worker");
	if (write(READY, "", 1) != 1)
		_exit(1);
	close(READY);
	for (;;)
		pause();
}

static void spawn(int count, int removes, const char *path)
{
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t first = 0;
	int ready[2];
	char byte;

	if (directory < 0)
		fail(path);
	if (pipe2(ready, O_CLOEXEC) < 0)
		fail("pipe");
	for (int spawned = 0; spawned < count; spawned++) {
		pid_t pid = spawn_child(directory, ready[1]);

		if (first == 0)
			first = pid;
	}
	for (int resting = 0; resting < count; resting++)
		if (read(ready[0], &byte, 1) != 1)
			fail("read");
	close(ready[0]);
	close(ready[1]);
	close(directory);
	printf("%d\n", first);
	for (int reaped = 0; reaped < count; reaped++)
		if (wait(NULL) < 0)
			fail("wait");
	/* From Linux 6.19 on the last child may leave its cgroup after it was reaped. */
	while (removes && rmdir(path) < 0)
		if (errno != EBUSY)
			fail("rmdir");
	puts("over");
}

static void spin(int cpu)
{
	cpu_set_t only;

	CPU_ZERO(&only);
	CPU_SET(cpu, &only);
	if (sched_setaffinity(0, sizeof(only), &only) < 0)
		fail("sched_setaffinity");
	puts("ready");
	for (;;)
		;
}

int main(int argc, char **argv)
{
	char line[4200], path[4096], then[16];
	int count;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc == 2 && strcmp(argv[1], "rest") == 0)
		rest();
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && strcmp(argv[1], "spin") == 0)
		spin(atoi(argv[2]));
	puts("ready");
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%d %15s %4095[^\n]", &count, then, path) != 3)
			return 2;
		spawn(count, strcmp(then, "remove") == 0, path);
	}
	return 0;
}
