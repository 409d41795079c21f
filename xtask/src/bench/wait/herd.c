/*
 * Those who die, and those who take the CPU from them.
 * `cargo xtask bench wait` compiles it with cc.
 *
 *   herd breed      reads `COUNT keep|remove DIRECTORY`, line by line
 *   herd hog CPU    spins on one CPU
 *   herd rest       is what those children are
 *
 * To each line it answers with the pid of the first of COUNT children, once all
 * of them rest in the cgroup, then with `over` once all of them are reaped; with
 * `remove` it has then removed the cgroup too, as the parent of a container may.
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

/* Where a child tells that it rests. */
#define TELL 3

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Born in the cgroup, so that nothing of it was anywhere else. */
static pid_t bear(int directory, int tell)
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
		/* A program of its own, as those in containers are: a mere copy of
		 * this one has hardly any memory to give back when it dies. */
		if (dup2(tell, TELL) == TELL)
			execl("/proc/self/exe", "herd", "rest", NULL);
		_exit(1);
	}
	return pid;
}

static void rest(void)
{
	if (write(TELL, "", 1) != 1)
		_exit(1);
	close(TELL);
	for (;;)
		pause();
}

static void breed(int count, int removes, const char *path)
{
	int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t first = 0;
	int ready[2];
	char byte;

	if (directory < 0)
		fail(path);
	if (pipe2(ready, O_CLOEXEC) < 0)
		fail("pipe");
	for (int born = 0; born < count; born++) {
		pid_t pid = bear(directory, ready[1]);

		if (first == 0)
			first = pid;
	}
	for (int told = 0; told < count; told++)
		if (read(ready[0], &byte, 1) != 1)
			fail("read");
	close(ready[0]);
	close(ready[1]);
	close(directory);
	printf("%d\n", first);
	for (int reaped = 0; reaped < count; reaped++)
		if (wait(NULL) < 0)
			fail("wait");
	/* From Linux 6.19 on the last one may leave after it was reaped. */
	while (removes && rmdir(path) < 0)
		if (errno != EBUSY)
			fail("rmdir");
	puts("over");
}

static void hog(int cpu)
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
	if (argc == 3 && strcmp(argv[1], "hog") == 0)
		hog(atoi(argv[2]));
	puts("ready");
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%d %15s %4095[^\n]", &count, then, path) != 3)
			return 2;
		breed(count, strcmp(then, "remove") == 0, path);
	}
	return 0;
}
