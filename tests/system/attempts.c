/* Makes the system calls that its arguments name, by every way into the kernel that the machine has, and prints
   what each gave: 0, or an errno. "compute" reads numbers and prints their sum. Static, so that nothing is
   opened before the first of them.

   NAME[:FIRST[:SECOND[:THIRD]]]   syscall(2), the number in decimal, arguments as strtoull(3) reads them
   x32:NUMBER, int80:NUMBER        by the foreign ABIs of x86-64 */

#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long foreign(long number) {
    long result = -ENOSYS;
#ifdef __x86_64__
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number) : "memory", "r8", "r9", "r10", "r11");
#endif
    return result;
}

static void attempt(char *text) {
    unsigned long long words[4] = {0};
    int count = 0, by_int80 = strncmp(text, "int80:", 6) == 0, by_x32 = strncmp(text, "x32:", 4) == 0;
    char *at = text + (by_int80 ? 6 : by_x32 ? 4 : 0);
    for (; count < 4 && *at; count++)
        words[count] = strtoull(at, &at, 0), at += *at == ':';
    long result;
    errno = 0;
    if (by_int80)
        result = foreign((long)words[0]), errno = result < 0 ? (int)-result : 0;
    else
        result = syscall((long)(words[0] | (by_x32 ? 0x40000000 : 0)), words[1], words[2], words[3], 0, 0, 0);
    printf("%s %d\n", text, result < 0 ? errno : 0);
    fflush(stdout);
}

int main(int count, char **words) {
    if (count > 1 && strcmp(words[1], "compute") == 0) {
        double sum = 0, each;
        while (scanf("%lf", &each) == 1)
            sum += each;
        char *much = malloc(64 << 20);
        memset(much, 1, 64 << 20);
        printf("%g\n", sum * much[12345]);
        return 0;
    }
    for (int i = 1; i < count; i++)
        attempt(words[i]);
    return 0;
}
