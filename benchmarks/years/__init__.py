"""What a store costs after years of use."""
