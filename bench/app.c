/*
 * The app of the benchmark: it does nothing but note, in nanoseconds of CLOCK_MONOTONIC, when each SIGHUP (or
 * POST /-/reload) arrived, and tell at its status URL how many there were, so that no figure holds the app's own
 * speed. Started under the name "pause" it only waits for its end, as a pod's first container does.
 *
 *   app PORT LOGFILE     one line a trigger is written to LOGFILE: "<ns> signal" or "<ns> post"
 *
 * GET /health/reload               AMP's JSON (attempts, status)
 * GET /api/v1/status/runtimeinfo   Prometheus' JSON (reloadConfigSuccess, lastConfigTime to the nanosecond)
 * POST /-/reload                   a trigger over HTTP
 * It must never block: one thread, poll(2), 64 connections.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 64

static volatile sig_atomic_t attempts;
static volatile struct timespec last_wall;
static int log_fd = -1;

/* Writes "<ns> <what>\n" without anything that a signal handler may not do. */
static void note(const char *what) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  unsigned long long ns = (unsigned long long)now.tv_sec * 1000000000ull + (unsigned long long)now.tv_nsec;
  char line[48];
  int i = 30;
  line[i] = ' ';
  int start = i;
  do line[--start] = (char)('0' + ns % 10); while ((ns /= 10) > 0);
  for (i = 31; *what; what++) line[i++] = *what;
  line[i++] = '\n';
  if (write(log_fd, line + start, (size_t)(i - start)) < 0) { /* nobody to tell */ }
  struct timespec wall;
  clock_gettime(CLOCK_REALTIME, &wall);
  last_wall.tv_sec = wall.tv_sec;
  last_wall.tv_nsec = wall.tv_nsec;
  attempts++;
}

static void on_hangup(int signal) {
  (void)signal;
  int saved = errno;
  note("signal");
  errno = saved;
}

static void on_end(int signal) {
  (void)signal;
  _exit(0);
}

/* Answers one request; keeps the connection unless the client asks to close it. Returns 0 to close. */
static int answer(int fd, const char *request) {
  char body[512], stamp[64], head[256];
  const char *type = "application/json";
  struct timespec wall = {last_wall.tv_sec, last_wall.tv_nsec};
  struct tm utc;
  gmtime_r(&wall.tv_sec, &utc);
  size_t n = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
  snprintf(stamp + n, sizeof stamp - n, ".%09ldZ", wall.tv_nsec);
  if (strncmp(request, "POST /-/reload", 14) == 0) {
    note("post");
    snprintf(body, sizeof body, "ok");
    type = "text/plain";
  } else if (strncmp(request, "GET /api/v1/status/runtimeinfo", 30) == 0) {
    snprintf(body, sizeof body, "{\"status\":\"success\",\"data\":{\"reloadConfigSuccess\":true,\"lastConfigTime\":\"%s\"}}", stamp);
  } else {
    snprintf(body, sizeof body,
             "{\"healthy\":true,\"status\":\"%s\",\"version\":%d,\"attempts\":%d,\"last_reload_time\":\"%s\","
             "\"split_state\":false,\"restart_required\":[]}",
             attempts ? "success" : "initial", (int)attempts + 1, (int)attempts, stamp);
  }
  int close_it = strcasestr(request, "\r\nConnection: close") != NULL;
  n = (size_t)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s\r\n", type,
                       strlen(body), close_it ? "Connection: close\r\n" : "");
  char all[1024];
  memcpy(all, head, n);
  memcpy(all + n, body, strlen(body));
  if (write(fd, all, n + strlen(body)) < 0) return 0;
  return !close_it;
}

int main(int argc, char **argv) {
  const char *name = strrchr(argv[0], '/');
  signal(SIGTERM, on_end);
  signal(SIGINT, on_end);
  if (strcmp(name ? name + 1 : argv[0], "pause") == 0)
    for (;;) pause();
  if (argc != 3) {
    fprintf(stderr, "usage: app PORT LOGFILE\n");
    return 2;
  }
  log_fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log_fd < 0) return perror(argv[2]), 1;
  struct timespec wall;
  clock_gettime(CLOCK_REALTIME, &wall);
  last_wall.tv_sec = wall.tv_sec;
  struct sigaction action = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};
  sigaction(SIGHUP, &action, NULL);
  signal(SIGPIPE, SIG_IGN);
  int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[1])),
                                .sin_addr = {htonl(INADDR_LOOPBACK)}};
  if (bind(server, (struct sockaddr *)&address, sizeof address) < 0 || listen(server, 64) < 0) return perror("listen"), 1;
  struct pollfd fds[1 + CONNECTIONS];
  int count = 1;
  fds[0] = (struct pollfd){server, POLLIN, 0};
  for (;;) {
    if (poll(fds, (nfds_t)count, -1) < 0) continue; /* EINTR: a signal */
    for (int i = count - 1; i > 0; i--) {
      if (!fds[i].revents) continue;
      char request[4096];
      ssize_t got = read(fds[i].fd, request, sizeof request - 1);
      if (got > 0) request[got] = 0;
      if (got <= 0 || !answer(fds[i].fd, request)) {
        close(fds[i].fd);
        fds[i] = fds[--count];
      }
    }
    if (fds[0].revents) {
      int fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
      if (fd >= 0 && count <= CONNECTIONS) fds[count++] = (struct pollfd){fd, POLLIN, 0};
      else if (fd >= 0) close(fd);
    }
  }
}
