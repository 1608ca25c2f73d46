/*
 * A process of a test pod that behaves as its arguments say, in order:
 *   handle      install a SIGHUP handler that prints "HUP <pid>"
 *   late        do so at SIGUSR2, and print "late <pid>"; until then SIGHUP kills
 *   once        the same as handle, but the handler is lost at the first signal (SA_RESETHAND)
 *   die         install a handler that dies of the signal, as Go, the JVM and Deno do
 *   ignore      ignore SIGHUP
 *   wait        block SIGHUP (threads started before it do not) and take it from a signalfd, as systemd does
 *   comm=NAME   rename (prctl)
 *   workers=N   fork N children that go on with the same settings
 *   zombie      leave a dead child unreaped
 *   threads=N   start N threads
 *   churn       start and reap children without end
 *   listen      listen on a free TCP port of 127.0.0.1 and print it
 *   hide        not dumpable, as the container runtime
 *   become=PATH at SIGUSR1, exec PATH with the arguments that follow
 *   end=MS      exit after MS milliseconds
 * It prints "ready <pid> <port>" once, and lives until it is killed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char **next_argv;
static char *next_path;

static void say(const char *word) {
  char line[64];
  int n = snprintf(line, sizeof line, "%s %d\n", word, (int)getpid());
  if (write(1, line, n) < 0) _exit(9);
}
static void on_hup(int s) { (void)s; say("HUP"); }
static void on_hup_die(int s) { signal(s, SIG_DFL); raise(s); }
static void set(int sig, void (*f)(int), int flags) {
  struct sigaction a = {.sa_handler = f, .sa_flags = flags};
  sigaction(sig, &a, 0);
}
static void on_usr2(int s) { (void)s; set(SIGHUP, on_hup, SA_RESTART); say("late"); }
static void on_usr1(int s) {
  (void)s;
  sigset_t all; sigfillset(&all); sigprocmask(SIG_UNBLOCK, &all, 0);
  execv(next_path, next_argv);
  _exit(8);
}
static void *idle(void *p) { for (;;) pause(); return p; }
static void *churn(void *p) {
  for (;;) { pid_t c = fork(); if (c == 0) _exit(0); if (c > 0) waitpid(c, 0, 0); }
  return p;
}
static int value(const char *arg, const char *name, const char **v) {
  size_t n = strlen(name);
  if (strncmp(arg, name, n) || arg[n] != '=') return 0;
  *v = arg + n + 1;
  return 1;
}

int main(int argc, char **argv) {
  int port = 0, waits = 0;
  const char *v;
  sigset_t hup; sigemptyset(&hup); sigaddset(&hup, SIGHUP);
  for (int i = 1; i < argc; i++) {
    char *a = argv[i];
    if (!strcmp(a, "handle")) set(SIGHUP, on_hup, SA_RESTART);
    else if (!strcmp(a, "once")) set(SIGHUP, on_hup, SA_RESETHAND);
    else if (!strcmp(a, "die")) set(SIGHUP, on_hup_die, 0);
    else if (!strcmp(a, "ignore")) set(SIGHUP, SIG_IGN, 0);
    else if (!strcmp(a, "wait")) { waits = 1; sigprocmask(SIG_BLOCK, &hup, 0); }
    else if (!strcmp(a, "hide")) prctl(PR_SET_DUMPABLE, 0);
    else if (!strcmp(a, "zombie")) { if (fork() == 0) _exit(0); }
    else if (!strcmp(a, "churn")) { pthread_t t; pthread_create(&t, 0, churn, 0); }
    else if (!strcmp(a, "late")) set(SIGUSR2, on_usr2, 0);
    else if (value(a, "end", &v)) { set(SIGALRM, SIG_DFL, 0); ualarm(atoi(v) * 1000, 0); }
    else if (value(a, "comm", &v)) prctl(PR_SET_NAME, v);
    else if (value(a, "threads", &v)) for (int n = atoi(v); n > 0; n--) { pthread_t t; pthread_create(&t, 0, idle, 0); }
    else if (value(a, "workers", &v)) { for (int n = atoi(v); n > 0; n--) if (fork() == 0) idle(0); }
    else if (value(a, "become", &v)) { next_path = strdup(v); next_argv = argv + i + 1; set(SIGUSR1, on_usr1, 0); break; }
    else if (!strcmp(a, "listen")) {
      struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
      socklen_t n = sizeof at;
      int s = socket(AF_INET, SOCK_STREAM, 0);
      if (bind(s, (void *)&at, n) || listen(s, 5) || getsockname(s, (void *)&at, &n)) return 7;
      port = ntohs(at.sin_port);
    }
    /* anything else is there for the command line only */
  }
  if (waits) {
    printf("ready %d %d\n", (int)getpid(), port); fflush(stdout);
    int fd = signalfd(-1, &hup, 0);
    for (char info[128];;) if (read(fd, info, sizeof info) > 0) say("HUP");
  }
  printf("ready %d %d\n", (int)getpid(), port); fflush(stdout);
  idle(0);
}
