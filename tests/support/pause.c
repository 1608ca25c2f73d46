/* As Kubernetes' pause: reaps, exits on SIGINT and SIGTERM, has no other handler, holds the PID namespace. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void down(int s) { (void)s; _exit(0); }
static void reap(int s) { (void)s; while (waitpid(-1, 0, WNOHANG) > 0); }

int main(void) {
  struct sigaction d = {.sa_handler = down}, r = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
  if (sigaction(SIGINT, &d, 0) || sigaction(SIGTERM, &d, 0) || sigaction(SIGCHLD, &r, 0)) return 1;
  for (;;) pause();
}
