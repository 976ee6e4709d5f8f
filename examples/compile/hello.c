#include "lib.h"

int main(void)
{
    say("Hello", WORLD);
    return 0;
}
