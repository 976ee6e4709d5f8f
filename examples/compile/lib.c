#include <stdio.h>
#include "lib.h"

void say(const char *greeting, const char *whom)
{
    printf("%s, %s!\n", greeting, whom);
}
