/*
 * A PKCS #11 library in front of the real one: it records every signature before the caller gets it, and can fail on
 * demand. Chosen by library path, so nothing in production code knows of it. README.md beside this file says how to
 * use it.
 */
#define _GNU_SOURCE
#include "cryptoki.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* The faults file is a few lines; a longer one is somebody's mistake. */
#define FAULTS_LIMIT 4096
/* The longest input of a C_Sign: an RSA-4096 block; digests are far below it. */
#define DATA_LIMIT 1024
/* Of a key's label that is recorded. */
#define LABEL_LIMIT 64

static CK_FUNCTION_LIST real_list;
static CK_FUNCTION_LIST shim_list;

static void complain(const char *what, const char *detail) {
  fprintf(stderr, "pkcs11-shim: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
}

/* --- the mechanism and key that each session's C_SignInit named, for the record of its C_Sign --- */

struct signing {
  CK_MECHANISM_TYPE mechanism;
  CK_BYTE label[LABEL_LIMIT];
  CK_ULONG label_length;
};

struct operation {
  CK_SESSION_HANDLE session;
  struct signing signing;
  struct operation *next;
};

static pthread_mutex_t operations_lock = PTHREAD_MUTEX_INITIALIZER;
static struct operation *operations;

static int remember_signing(CK_SESSION_HANDLE session, const struct signing *signing) {
  int remembered = 1;
  pthread_mutex_lock(&operations_lock);
  struct operation *operation = operations;
  while (operation && operation->session != session) operation = operation->next;
  if (!operation) {
    operation = malloc(sizeof *operation);
    if (operation) {
      operation->session = session;
      operation->next = operations;
      operations = operation;
    }
  }
  if (operation)
    operation->signing = *signing;
  else
    remembered = 0;
  pthread_mutex_unlock(&operations_lock);
  return remembered;
}

static struct signing signing_of(CK_SESSION_HANDLE session) {
  struct signing signing = {0};
  pthread_mutex_lock(&operations_lock);
  for (struct operation *operation = operations; operation; operation = operation->next)
    if (operation->session == session) signing = operation->signing;
  pthread_mutex_unlock(&operations_lock);
  return signing;
}

/* --- faults --- */

static const char *const known_faults[] = {"busy",       "session-lost",    "device-removed",    "down",
                                           "slow",       "corrupt",         "crash-before-sign", "crash-after-sign",
                                           "reply-lost", "hang-initialize", "user-locked",       "key-absent"};

static int is_known(const char *name) {
  for (size_t i = 0; i < sizeof known_faults / sizeof *known_faults; i++)
    if (strcmp(known_faults[i], name) == 0) return 1;
  return 0;
}

/* What asking for a fault gives. */
enum consumed { FAULT_ABSENT, FAULT_PRESENT, FAULT_UNREADABLE };

/* Write the whole text over the file behind the descriptor. */
static int overwrite(int descriptor, const char *text, size_t length) {
  return pwrite(descriptor, text, length, 0) == (ssize_t)length && ftruncate(descriptor, (off_t)length) == 0;
}

/* SplitMix64 (Sebastiano Vigna, public domain): the next number, and the state moved on. */
static unsigned long long split_mix_64(unsigned long long *state) {
  unsigned long long z = (*state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

/*
 * Take one of the named fault from the faults file, under a lock, so that a count of 1 is one fault however many
 * processes sign, and a seed is one sequence of draws. `milliseconds` gets the line's third word, 0 without one.
 */
static enum consumed consume(const char *name, long *milliseconds) {
  const char *path = getenv("PKCS11_SHIM_FAULTS");
  if (!path || !*path) return FAULT_ABSENT;
  int descriptor = open(path, O_RDWR | O_CLOEXEC);
  if (descriptor < 0) {
    if (errno == ENOENT) return FAULT_ABSENT;
    complain("the faults file cannot be opened", strerror(errno));
    return FAULT_UNREADABLE;
  }
  enum consumed result = FAULT_ABSENT;
  char before[FAULTS_LIMIT + 1];
  char after[FAULTS_LIMIT * 2];
  size_t after_length = 0;
  int changed = 0;
  ssize_t length;
  if (flock(descriptor, LOCK_EX) != 0 || (length = pread(descriptor, before, sizeof before, 0)) < 0 ||
      length > FAULTS_LIMIT) {
    complain("the faults file cannot be read, or is too long", NULL);
    close(descriptor);
    return FAULT_UNREADABLE;
  }
  before[length] = '\0';
  char *rest = before;
  for (char *line; (line = strsep(&rest, "\n"));) {
    char fault[32];
    long count;
    long wait = 0;
    unsigned long parts_per_million = 0;
    unsigned long long state = 0;
    long spared = 0;
    if (*line == '\0') continue;
    int words = sscanf(line, "%31s %ld %ld %lu %llu %ld", fault, &count, &wait, &parts_per_million, &state, &spared);
    if (words < 2 || words == 4 || !is_known(fault) || count < -1 || wait < 0 || spared < 0) {
      complain("not a line of a faults file (FAULT COUNT [MILLISECONDS [PARTS_PER_MILLION STATE [SPARED]]])", line);
      close(descriptor);
      return FAULT_UNREADABLE;
    }
    if (result == FAULT_ABSENT && count != 0 && strcmp(fault, name) == 0 && spared != (long)getpid()) {
      int falls = 1;
      if (words >= 5) {
        falls = split_mix_64(&state) % 1000000 < parts_per_million;
        changed = 1;
      }
      if (falls) {
        result = FAULT_PRESENT;
        *milliseconds = wait;
        if (count > 0) {
          count--;
          changed = 1;
        }
      }
    }
    int written = words >= 5 ? snprintf(after + after_length, sizeof after - after_length, "%s %ld %ld %lu %llu %ld\n",
                                        fault, count, wait, parts_per_million, state, spared)
                             : snprintf(after + after_length, sizeof after - after_length, "%s %ld %ld\n", fault,
                                        count, wait);
    if (written < 0 || (size_t)written >= sizeof after - after_length) {
      complain("the faults file is too long", NULL);
      close(descriptor);
      return FAULT_UNREADABLE;
    }
    after_length += (size_t)written;
  }
  if (changed && !overwrite(descriptor, after, after_length)) {
    complain("the faults file cannot be written", strerror(errno));
    result = FAULT_UNREADABLE;
  }
  close(descriptor); /* and with it the lock */
  return result;
}

static void wait_milliseconds(long milliseconds) {
  struct timespec left = {.tv_sec = milliseconds / 1000, .tv_nsec = (milliseconds % 1000) * 1000000L};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
}

/* --- the record --- */

/* One line, one write with O_APPEND: whole or absent, also between processes, and kept when this one is killed. */
static int record(const struct signing *signing, const CK_BYTE *data, CK_ULONG data_length) {
  char line[2 * DATA_LIMIT + 2 * LABEL_LIMIT + 96];
  if (data_length > DATA_LIMIT) {
    complain("more data than the record takes", NULL);
    return 0;
  }
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  int length = snprintf(line, sizeof line, "%lld %ld %lx ",
                        (long long)now.tv_sec * 1000LL + (long long)now.tv_nsec / 1000000LL, (long)getpid(),
                        signing->mechanism);
  for (CK_ULONG i = 0; i < data_length; i++) length += snprintf(line + length, 3, "%02x", data[i]);
  line[length++] = ' ';
  for (CK_ULONG i = 0; i < signing->label_length; i++)
    length += snprintf(line + length, 3, "%02x", signing->label[i]);
  line[length++] = '\n';

  int descriptor = open(getenv("PKCS11_SHIM_RECORD"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    complain("the record cannot be opened", strerror(errno));
    return 0;
  }
  ssize_t written = write(descriptor, line, (size_t)length);
  if (written != length) complain("the record cannot be written", strerror(errno));
  close(descriptor);
  return written == length;
}

/* --- the functions that stand in for the real ones --- */

/* CKR_OK where the HSM can be reached. */
static CK_RV reach(void) {
  long milliseconds = 0;
  switch (consume("down", &milliseconds)) {
    case FAULT_UNREADABLE: return CKR_GENERAL_ERROR;
    case FAULT_PRESENT: return CKR_DEVICE_REMOVED;
    case FAULT_ABSENT: break;
  }
  return CKR_OK;
}

#define PARAMETERS_1 CK_ULONG a
#define PARAMETERS_2 PARAMETERS_1, CK_ULONG b
#define PARAMETERS_3 PARAMETERS_2, CK_ULONG c
#define PARAMETERS_4 PARAMETERS_3, CK_ULONG d
#define PARAMETERS_5 PARAMETERS_4, CK_ULONG e
#define PARAMETERS_6 PARAMETERS_5, CK_ULONG f
#define PARAMETERS_8 PARAMETERS_6, CK_ULONG g, CK_ULONG h
#define ARGUMENTS_1 a
#define ARGUMENTS_2 ARGUMENTS_1, b
#define ARGUMENTS_3 ARGUMENTS_2, c
#define ARGUMENTS_4 ARGUMENTS_3, d
#define ARGUMENTS_5 ARGUMENTS_4, e
#define ARGUMENTS_6 ARGUMENTS_5, f
#define ARGUMENTS_8 ARGUMENTS_6, g, h

/* For each function of the list: the real one, unless the HSM is down. */
#define PASS_ON(name, arguments)                                                                                       \
  static CK_RV pass_on_##name(PARAMETERS_##arguments) {                                                                \
    CK_RV value = reach();                                                                                             \
    if (value != CKR_OK) return value;                                                                                 \
    return ((CK_RV(*)(PARAMETERS_##arguments))real_list.functions[INDEX_##name])(ARGUMENTS_##arguments);               \
  }
CRYPTOKI_FUNCTIONS(PASS_ON)

static CK_RV shim_initialize(void *arguments) {
  long milliseconds = 0;
  switch (consume("hang-initialize", &milliseconds)) {
    case FAULT_UNREADABLE: return CKR_GENERAL_ERROR;
    case FAULT_PRESENT: wait_milliseconds(milliseconds); break;
    case FAULT_ABSENT: break;
  }
  return pass_on_C_Initialize((CK_ULONG)arguments);
}

static CK_RV shim_login(CK_SESSION_HANDLE session, CK_ULONG user, CK_BYTE *pin, CK_ULONG pin_length) {
  long milliseconds = 0;
  switch (consume("user-locked", &milliseconds)) {
    case FAULT_UNREADABLE: return CKR_GENERAL_ERROR;
    case FAULT_PRESENT: return CKR_PIN_LOCKED;
    case FAULT_ABSENT: break;
  }
  return pass_on_C_Login((CK_ULONG)session, (CK_ULONG)user, (CK_ULONG)pin, (CK_ULONG)pin_length);
}

/* As an HSM that the key has not come to yet: the search is in order, and finds nothing. */
static CK_RV shim_find_objects(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *objects, CK_ULONG limit, CK_ULONG *count) {
  long milliseconds = 0;
  switch (consume("key-absent", &milliseconds)) {
    case FAULT_UNREADABLE: return CKR_GENERAL_ERROR;
    case FAULT_PRESENT: *count = 0; return CKR_OK;
    case FAULT_ABSENT: break;
  }
  return pass_on_C_FindObjects((CK_ULONG)session, (CK_ULONG)objects, limit, (CK_ULONG)count);
}

/*
 * What fails before the signature fails here, where the real library knows of no operation yet: failing in C_Sign
 * would leave one active in the session, which no real HSM does.
 */
static CK_RV shim_sign_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key) {
  static const struct {
    const char *name;
    CK_RV value;
  } refusals[] = {{"busy", CKR_FUNCTION_FAILED},
                  {"session-lost", CKR_SESSION_HANDLE_INVALID},
                  {"device-removed", CKR_DEVICE_REMOVED}};
  long milliseconds = 0;
  CK_RV reached = reach();
  if (reached != CKR_OK) return reached;
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    enum consumed fault = consume(refusals[i].name, &milliseconds);
    if (fault == FAULT_UNREADABLE) return CKR_GENERAL_ERROR;
    if (fault == FAULT_PRESENT) return refusals[i].value;
  }
  enum consumed crash = consume("crash-before-sign", &milliseconds);
  if (crash == FAULT_UNREADABLE) return CKR_GENERAL_ERROR;
  if (crash == FAULT_PRESENT) raise(SIGKILL);
  if (mechanism) {
    struct signing signing = {.mechanism = mechanism->mechanism};
    CK_ATTRIBUTE label = {CKA_LABEL, signing.label, LABEL_LIMIT};
    C_GetAttributeValue_function get = (C_GetAttributeValue_function)real_list.functions[INDEX_C_GetAttributeValue];
    /* A key that has none, or is none, which C_SignInit will say. */
    if (get(session, key, &label, 1) == CKR_OK) signing.label_length = label.value_length;
    if (!remember_signing(session, &signing)) return CKR_HOST_MEMORY;
  }
  return ((C_SignInit_function)real_list.functions[INDEX_C_SignInit])(session, mechanism, key);
}

static CK_RV shim_sign(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_length, CK_BYTE *signature,
                       CK_ULONG *signature_length) {
  C_Sign_function real = (C_Sign_function)real_list.functions[INDEX_C_Sign];
  /* A question for the length of the signature makes none. */
  if (!signature) return real(session, data, data_length, signature, signature_length);

  long milliseconds = 0;
  CK_RV reached = reach();
  if (reached != CKR_OK) return reached;
  enum consumed slow = consume("slow", &milliseconds);
  if (slow == FAULT_PRESENT) wait_milliseconds(milliseconds);

  CK_RV value = real(session, data, data_length, signature, signature_length);
  if (value != CKR_OK) return value;
  struct signing signing = signing_of(session);
  if (!record(&signing, data, data_length)) {
    memset(signature, 0, *signature_length);
    return CKR_FUNCTION_FAILED;
  }

  enum consumed crash_after = consume("crash-after-sign", &milliseconds);
  if (crash_after == FAULT_PRESENT) raise(SIGKILL);
  enum consumed reply_lost = consume("reply-lost", &milliseconds);
  enum consumed corrupt = consume("corrupt", &milliseconds);
  if (slow == FAULT_UNREADABLE || crash_after == FAULT_UNREADABLE || corrupt == FAULT_UNREADABLE ||
      reply_lost != FAULT_ABSENT) {
    memset(signature, 0, *signature_length);
    return reply_lost == FAULT_PRESENT ? CKR_FUNCTION_FAILED : CKR_GENERAL_ERROR;
  }
  if (corrupt == FAULT_PRESENT) signature[*signature_length / 2] ^= 1;
  return CKR_OK;
}

/* Ways to a signature that nothing of ours uses: closed, so that none goes past the record. */
static CK_RV shim_not_supported(void) { return CKR_FUNCTION_NOT_SUPPORTED; }

static CK_RV load_result;

static CK_RV load(void) {
  const char *path = getenv("PKCS11_SHIM_LIBRARY");
  const char *record_path = getenv("PKCS11_SHIM_RECORD");
  if (!path || !*path || !record_path || !*record_path) {
    complain("set PKCS11_SHIM_LIBRARY (the real library) and PKCS11_SHIM_RECORD (the file of signatures)", NULL);
    return CKR_GENERAL_ERROR;
  }
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    complain("the real library cannot be loaded", dlerror());
    return CKR_GENERAL_ERROR;
  }
  C_GetFunctionList_function get_function_list;
  void *symbol = dlsym(library, "C_GetFunctionList");
  if (!symbol) {
    complain("the real library has no C_GetFunctionList", dlerror());
    return CKR_GENERAL_ERROR;
  }
  memcpy(&get_function_list, &symbol, sizeof symbol); /* ISO C has no cast from object to function pointer */
  CK_FUNCTION_LIST *list = NULL;
  CK_RV value = get_function_list(&list);
  if (value != CKR_OK) return value;

  real_list = *list;
  shim_list = *list;
#define STAND_IN(name, arguments) shim_list.functions[INDEX_##name] = (any_function)pass_on_##name;
  CRYPTOKI_FUNCTIONS(STAND_IN)
#undef STAND_IN
  /* What the library does within this process: a caller that gives up can clear it away, HSM or no HSM. */
  shim_list.functions[INDEX_C_Finalize] = real_list.functions[INDEX_C_Finalize];
  shim_list.functions[INDEX_C_Initialize] = (any_function)shim_initialize;
  shim_list.functions[INDEX_C_Login] = (any_function)shim_login;
  shim_list.functions[INDEX_C_FindObjects] = (any_function)shim_find_objects;
  shim_list.functions[INDEX_C_SignInit] = (any_function)shim_sign_init;
  shim_list.functions[INDEX_C_Sign] = (any_function)shim_sign;
  shim_list.functions[INDEX_C_SignUpdate] = (any_function)shim_not_supported;
  shim_list.functions[INDEX_C_SignFinal] = (any_function)shim_not_supported;
  shim_list.functions[INDEX_C_SignRecoverInit] = (any_function)shim_not_supported;
  shim_list.functions[INDEX_C_SignRecover] = (any_function)shim_not_supported;
  shim_list.functions[INDEX_C_SignEncryptUpdate] = (any_function)shim_not_supported;
  return CKR_OK;
}

static void load_once(void) { load_result = load(); }

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (!list) return CKR_ARGUMENTS_BAD;
  pthread_once(&once, load_once);
  if (load_result != CKR_OK) return load_result;
  shim_list.functions[INDEX_C_GetFunctionList] = (any_function)C_GetFunctionList;
  *list = &shim_list;
  return CKR_OK;
}
