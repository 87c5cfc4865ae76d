/* What ordinary programs do: reads the first line of a file and writes it to another one, looks at both and at a
   folder, takes and gives back memory, has a thread, sleeps, prints. Ends with a number of its own at each failure. */

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static void *work(void *said) {
    *(int *)said = 42;
    return NULL;
}

int main(int count, char **words) {
    char line[64];
    int said = 0;
    struct stat found;
    pthread_t thread;
    struct timespec moment = {0, 1000};
    FILE *in = count == 3 ? fopen(words[1], "r") : NULL;
    if (!in || !fgets(line, sizeof line, in) || fclose(in))
        return 10;
    FILE *out = fopen(words[2], "w");
    if (!out || fputs(line, out) < 0 || fclose(out) || stat(words[2], &found) || found.st_size != (off_t)strlen(line))
        return 11;
    DIR *folder = opendir("/");
    if (!folder || !readdir(folder) || closedir(folder))
        return 12;
    char *large = malloc(1 << 22);
    if (!large || !(large = realloc(large, 1 << 24)))
        return 13;
    memset(large, 1, 1 << 24);
    free(large);
    if (pthread_create(&thread, NULL, work, &said) || pthread_join(thread, NULL))
        return 14;
    if (nanosleep(&moment, NULL) || time(NULL) <= 0)
        return 15;
    printf("%d %s", said, line);
    return 0;
}
