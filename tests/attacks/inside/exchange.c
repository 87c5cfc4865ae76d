/* A tracer exchanges its tracee's getpid(2) for sethostname(2) when the call is entered (ptrace(2),
 * PTRACE_SYSCALL). Before Linux 4.8 a seccomp filter had judged the call by then.
 * Prints what the exchanged call answered and ends with 0 where it went through, else prints its errno
 * and ends with 1. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static const char name[] = "exchanged";

static int failed(int code) {
    printf("%d\n", code);
    return 1;
}

int main(void) {
#ifndef __x86_64__
    return failed(ENOSYS);
#else
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) < 0)
            _exit(errno);
        raise(SIGSTOP);
        long answer = syscall(SYS_getpid);
        _exit(answer < 0 ? errno : answer == 0 ? 0 : 255);
    }
    int status;
    waitpid(child, &status, 0);
    if (WIFEXITED(status))
        return failed(WEXITSTATUS(status));
    for (int done = 0;;) {
        if (ptrace(PTRACE_SYSCALL, child, 0, 0) < 0)
            return failed(errno);
        waitpid(child, &status, 0);
        if (WIFEXITED(status)) {
            if (WEXITSTATUS(status))
                return failed(WEXITSTATUS(status));
            printf("%d\n", 0);
            return 0;
        }
        struct user_regs_struct registers;
        ptrace(PTRACE_GETREGS, child, 0, &registers);
        if (!done && registers.orig_rax == SYS_getpid) {
            registers.orig_rax = SYS_sethostname;
            registers.rdi = (unsigned long long)name;
            registers.rsi = sizeof name - 1;
            ptrace(PTRACE_SETREGS, child, 0, &registers);
            done = 1;
        }
    }
#endif
}
