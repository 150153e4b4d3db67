/*
 * The little of Cryptoki (PKCS #11 v2.40, section 3 and 5) that the shim touches.
 *
 * The function list is a version followed by one pointer for each function, in the order of the standard; the shim
 * passes most of them on untouched, so here they are an array, and the ones that it replaces have an index.
 * On Unix the standard asks for the platform's ordinary alignment, so no packing.
 */
#ifndef MINTMARK_CRYPTOKI_H
#define MINTMARK_CRYPTOKI_H

typedef unsigned char CK_BYTE;
typedef unsigned long CK_ULONG;
typedef CK_ULONG CK_RV;
typedef CK_ULONG CK_SESSION_HANDLE;
typedef CK_ULONG CK_OBJECT_HANDLE;
typedef CK_ULONG CK_MECHANISM_TYPE;

typedef struct {
  CK_MECHANISM_TYPE mechanism;
  void *parameter;
  CK_ULONG parameter_length;
} CK_MECHANISM;

typedef void (*any_function)(void);

enum {
  INDEX_C_INITIALIZE = 0,
  INDEX_C_GET_FUNCTION_LIST = 3,
  INDEX_C_SIGN_INIT = 42,
  INDEX_C_SIGN = 43,
  INDEX_C_SIGN_UPDATE = 44,
  INDEX_C_SIGN_FINAL = 45,
  INDEX_C_SIGN_RECOVER_INIT = 46,
  INDEX_C_SIGN_RECOVER = 47,
  INDEX_C_SIGN_ENCRYPT_UPDATE = 56,
  FUNCTION_COUNT = 68
};

typedef struct {
  struct {
    CK_BYTE major;
    CK_BYTE minor;
  } version;
  any_function functions[FUNCTION_COUNT];
} CK_FUNCTION_LIST;

typedef CK_RV (*C_Initialize_function)(void *arguments);
typedef CK_RV (*C_GetFunctionList_function)(CK_FUNCTION_LIST **list);
typedef CK_RV (*C_SignInit_function)(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
typedef CK_RV (*C_Sign_function)(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_length, CK_BYTE *signature,
                                 CK_ULONG *signature_length);

#define CKR_OK 0x00000000UL
#define CKR_GENERAL_ERROR 0x00000005UL
#define CKR_FUNCTION_FAILED 0x00000006UL
#define CKR_ARGUMENTS_BAD 0x00000007UL
#define CKR_DEVICE_REMOVED 0x00000032UL
#define CKR_FUNCTION_NOT_SUPPORTED 0x00000054UL
#define CKR_SESSION_HANDLE_INVALID 0x000000B3UL
#define CKR_HOST_MEMORY 0x00000002UL

#endif
