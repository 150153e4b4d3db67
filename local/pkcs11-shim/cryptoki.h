/*
 * The little of Cryptoki (PKCS #11 v2.40, section 3 and 5) that the shim touches.
 *
 * The function list is a version followed by one pointer for each function, in the order of the standard; here they
 * are an array.
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

typedef struct {
  CK_ULONG type;
  void *value;
  CK_ULONG value_length;
} CK_ATTRIBUTE;

#define CKA_LABEL 3UL

typedef void (*any_function)(void);

/*
 * Every function of the list, in its order, with the number of its arguments. All arguments are CK_ULONG, CK_BBOOL or
 * pointers, which the calling conventions of the platforms that this is built for pass alike, a CK_ULONG's width each.
 */
#define CRYPTOKI_FUNCTIONS(F) \
  F(C_Initialize, 1) \
  F(C_Finalize, 1) \
  F(C_GetInfo, 1) \
  F(C_GetFunctionList, 1) \
  F(C_GetSlotList, 3) \
  F(C_GetSlotInfo, 2) \
  F(C_GetTokenInfo, 2) \
  F(C_GetMechanismList, 3) \
  F(C_GetMechanismInfo, 3) \
  F(C_InitToken, 4) \
  F(C_InitPIN, 3) \
  F(C_SetPIN, 5) \
  F(C_OpenSession, 5) \
  F(C_CloseSession, 1) \
  F(C_CloseAllSessions, 1) \
  F(C_GetSessionInfo, 2) \
  F(C_GetOperationState, 3) \
  F(C_SetOperationState, 5) \
  F(C_Login, 4) \
  F(C_Logout, 1) \
  F(C_CreateObject, 4) \
  F(C_CopyObject, 5) \
  F(C_DestroyObject, 2) \
  F(C_GetObjectSize, 3) \
  F(C_GetAttributeValue, 4) \
  F(C_SetAttributeValue, 4) \
  F(C_FindObjectsInit, 3) \
  F(C_FindObjects, 4) \
  F(C_FindObjectsFinal, 1) \
  F(C_EncryptInit, 3) \
  F(C_Encrypt, 5) \
  F(C_EncryptUpdate, 5) \
  F(C_EncryptFinal, 3) \
  F(C_DecryptInit, 3) \
  F(C_Decrypt, 5) \
  F(C_DecryptUpdate, 5) \
  F(C_DecryptFinal, 3) \
  F(C_DigestInit, 2) \
  F(C_Digest, 5) \
  F(C_DigestUpdate, 3) \
  F(C_DigestKey, 2) \
  F(C_DigestFinal, 3) \
  F(C_SignInit, 3) \
  F(C_Sign, 5) \
  F(C_SignUpdate, 3) \
  F(C_SignFinal, 3) \
  F(C_SignRecoverInit, 3) \
  F(C_SignRecover, 5) \
  F(C_VerifyInit, 3) \
  F(C_Verify, 5) \
  F(C_VerifyUpdate, 3) \
  F(C_VerifyFinal, 3) \
  F(C_VerifyRecoverInit, 3) \
  F(C_VerifyRecover, 5) \
  F(C_DigestEncryptUpdate, 5) \
  F(C_DecryptDigestUpdate, 5) \
  F(C_SignEncryptUpdate, 5) \
  F(C_DecryptVerifyUpdate, 5) \
  F(C_GenerateKey, 5) \
  F(C_GenerateKeyPair, 8) \
  F(C_WrapKey, 6) \
  F(C_UnwrapKey, 8) \
  F(C_DeriveKey, 6) \
  F(C_SeedRandom, 3) \
  F(C_GenerateRandom, 3) \
  F(C_GetFunctionStatus, 1) \
  F(C_CancelFunction, 1) \
  F(C_WaitForSlotEvent, 3)

/* INDEX_C_Sign and so on, and how many there are. */
enum {
#define INDEX_OF(name, arguments) INDEX_##name,
  CRYPTOKI_FUNCTIONS(INDEX_OF)
#undef INDEX_OF
  FUNCTION_COUNT
};

typedef struct {
  struct {
    CK_BYTE major;
    CK_BYTE minor;
  } version;
  any_function functions[FUNCTION_COUNT];
} CK_FUNCTION_LIST;

typedef CK_RV (*C_GetFunctionList_function)(CK_FUNCTION_LIST **list);
typedef CK_RV (*C_GetAttributeValue_function)(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
                                              CK_ATTRIBUTE *attributes, CK_ULONG count);
typedef CK_RV (*C_SignInit_function)(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);
typedef CK_RV (*C_Sign_function)(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG data_length, CK_BYTE *signature,
                                 CK_ULONG *signature_length);

#define CKR_OK 0x00000000UL
#define CKR_GENERAL_ERROR 0x00000005UL
#define CKR_FUNCTION_FAILED 0x00000006UL
#define CKR_ARGUMENTS_BAD 0x00000007UL
#define CKR_DEVICE_REMOVED 0x00000032UL
#define CKR_PIN_LOCKED 0x000000A4UL
#define CKR_FUNCTION_NOT_SUPPORTED 0x00000054UL
#define CKR_SESSION_HANDLE_INVALID 0x000000B3UL
#define CKR_HOST_MEMORY 0x00000002UL

#endif
